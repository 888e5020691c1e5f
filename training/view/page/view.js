// The page: what the server tells goes into the page, what the user wants goes to the server.

import { Legend } from './legend.js';
import { unpack } from './packet.js';
import { Painter } from './painting.js';

const byId = (id) => document.getElementById(id);
const painter = new Painter(byId('picture'));
const legend = new Legend(byId('legend'), (focus) => repaint({ focus }));
const wish = { view: 'overlay', alpha: 0.5, least: 0, focus: null };
const latencies = [];
let socket = null;
let showing = Promise.resolve();
let times = [0];
let state = {};
let pointer = null;

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
const latency = (ms) =>
  ms === null ? '–' : ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;

function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, '0')}`;
}

function send(order) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(order));
}

function repaint(changes = {}) {
  Object.assign(wish, changes);
  painter.paint(wish);
}

// How far a slider's track is coloured.
function fill(slider) {
  const span = slider.max - slider.min;
  slider.style.setProperty('--filled', `${span ? (100 * (slider.value - slider.min)) / span : 0}%`);
}

function greet(told) {
  times = told.times_s;
  byId('recording').textContent = told.recording;
  byId('network').textContent = `${told.checkpoint} · ${told.network}`;
  byId('network').title = told.network;
  byId('place').max = times.length - 1;
  byId('length').textContent = clock(times.at(-1));
  byId('speed').replaceChildren(...told.speeds.map((speed) => new Option(`${speed}×`, speed)));
  byId('notes').replaceChildren(...told.notes.map((note) => {
    const item = document.createElement('li');
    item.textContent = note;
    return item;
  }));
  painter.colors = told.classes.map(({ color }) => color);
  legend.name(told.classes);
  document.title = `${told.recording} – hrda view`;
}

function recordedHz() {
  const span = times.at(-1) - times[0];
  return span > 0 ? (times.length - 1) / span : null;
}

function showState(told) {
  state = told;
  byId('play').classList.toggle('playing', told.playing);
  byId('speed').value = told.speed;
  byId('every').checked = told.every_frame;
  byId('loop').checked = told.loop;
  byId('p50').textContent = latency(told.p50_ms);
  byId('p95').textContent = latency(told.p95_ms);
  byId('hz').textContent = told.hz === null || !told.playing ? '–' : `${told.hz.toFixed(1)} Hz`;
  const hz = recordedHz();
  byId('of-hz').textContent = hz === null ? '' : `of ${(hz * told.speed).toFixed(1)}`;
  byId('dropped').textContent = told.dropped;
  const all = told.dropped + told.shown;
  byId('of-dropped').textContent = told.dropped ? `of ${all}` : 'frames';
  byId('problem').hidden = !told.problem;
  byId('problem').textContent = told.problem;
  const connection = byId('connection');
  connection.className = told.playing ? '' : 'paused';
  connection.textContent = told.playing ? 'playing' : 'paused';
}

async function showFrame(buffer) {
  const frame = await unpack(buffer);
  send({ do: 'ready' });
  byId('waiting').hidden = true;
  painter.take(frame);
  repaint();
  legend.show(frame.shares);
  if (document.activeElement !== byId('place')) byId('place').value = frame.index;
  fill(byId('place'));
  byId('time').textContent = clock(times[frame.index]);
  byId('windows').textContent = frame.planned ? `${frame.computed}` : '–';
  byId('of-windows').textContent = frame.planned ? `of ${frame.planned} planned` : '';
  byId('confidence').textContent = percent(frame.confidence, 1);
  byId('size').textContent = `${frame.size[0]} × ${frame.size[1]} px`;
  latencies.push(frame.ms);
  if (latencies.length > 100) latencies.shift();
  drawLatencies();
  point();
  document.body.dataset.frames = Number(document.body.dataset.frames ?? 0) + 1;
}

function drawLatencies() {
  const canvas = byId('latencies');
  const context = canvas.getContext('2d');
  const highest = Math.max(...latencies) * 1.1;
  const step = canvas.width / 99;
  const y = (ms) => canvas.height - 3 - (ms / highest) * (canvas.height - 6);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.beginPath();
  latencies.forEach((ms, i) => context.lineTo((100 - latencies.length + i) * step, y(ms)));
  context.strokeStyle = '#3ddbb0';
  context.lineWidth = 2.5;
  context.lineJoin = 'round';
  context.stroke();
  context.lineTo(canvas.width, canvas.height);
  context.lineTo((100 - latencies.length) * step, canvas.height);
  context.fillStyle = '#3ddbb022';
  context.fill();
}

function point() {
  const found = pointer && painter.at(pointer.clientX, pointer.clientY);
  const box = byId('hover');
  box.hidden = !found;
  legend.point(found ? found.label : null);
  if (!found) return;
  const named = legend.classes[found.label];
  const [swatch, name, figures] = box.children;
  swatch.style.background = named ? `rgb(${named.color})` : 'transparent';
  name.textContent = named ? named.name : 'unlabelled';
  figures.textContent = `${percent(found.confidence / 255, 1)}   (${found.column}, ${found.row})`;
  const left = Math.min(pointer.clientX + 16, innerWidth - box.offsetWidth - 8);
  box.style.left = `${left}px`;
  box.style.top = `${Math.min(pointer.clientY + 16, innerHeight - box.offsetHeight - 8)}px`;
}

function connect() {
  socket = new WebSocket(new URL('socket', location.href.replace(/^http/, 'ws')));
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => {
    if (typeof data !== 'string') {
      // One after the other: a large frame takes longer to unpack than the one behind it.
      showing = showing.then(() => showFrame(data)).catch(console.error);
      return;
    }
    const told = JSON.parse(data);
    if (told.kind === 'greeting') greet(told);
    else showState(told);
  };
  socket.onclose = () => {
    byId('connection').className = 'offline';
    byId('connection').textContent = 'disconnected';
    setTimeout(connect, 1000);
  };
}

function choose(view) {
  for (const button of byId('views').children) {
    button.classList.toggle('chosen', button.dataset.view === view);
  }
  byId('scale').hidden = view !== 'confidence';
  repaint({ view });
}

byId('views').onclick = ({ target }) => target.dataset.view && choose(target.dataset.view);
byId('play').onclick = () => send({ do: state.playing ? 'pause' : 'play' });
byId('back').onclick = () => send({ do: 'step', frames: -1 });
byId('on').onclick = () => send({ do: 'step', frames: 1 });
byId('place').oninput = ({ target }) => {
  send({ do: 'seek', index: Number(target.value) });
  fill(target);
};
byId('place').onchange = ({ target }) => target.blur();
byId('speed').onchange = ({ target }) => send({ do: 'speed', value: Number(target.value) });
byId('every').onchange = ({ target }) => send({ do: 'every_frame', on: target.checked });
byId('loop').onchange = ({ target }) => send({ do: 'loop', on: target.checked });
for (const [id, change] of [
  ['alpha', (value) => ({ alpha: value / 100 })],
  ['least', (value) => ({ least: Math.ceil(value * 2.55) })],
]) {
  fill(byId(id));
  byId(id).oninput = ({ target }) => {
    fill(target);
    target.nextElementSibling.textContent = `${target.value} %`;
    repaint(change(Number(target.value)));
  };
}
byId('picture').onpointermove = (event) => {
  pointer = event;
  point();
};
byId('picture').onpointerleave = () => {
  pointer = null;
  point();
};
document.onkeydown = (event) => {
  if (event.target.matches('input, select') || event.ctrlKey || event.metaKey || event.altKey) return;
  const views = [...byId('views').children].map((button) => button.dataset.view);
  if (event.key === ' ') byId('play').click();
  else if (event.key === 'ArrowLeft') byId('back').click();
  else if (event.key === 'ArrowRight') byId('on').click();
  else if (views[event.key - 1]) choose(views[event.key - 1]);
  else return;
  event.preventDefault();
};
connect();
