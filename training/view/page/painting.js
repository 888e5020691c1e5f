// Colours a frame: class colours or confidence over the picture, as the sliders say.

const UNLABELLED = 255;
const DIMMED = 40; // opacity of the other classes while one is pointed at, of 255
const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];

const packed = (red, green, blue, opacity) =>
  ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;

function scaleTable() {
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const place = (value / 255) * (VIRIDIS.length - 1);
    const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
    const mixed = VIRIDIS[low].map((c, i) => c + (VIRIDIS[low + 1][i] - c) * (place - low));
    table[value] = packed(...mixed.map(Math.round), 255);
  }
  return table;
}

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.layer = document.createElement('canvas');
    this.scale = scaleTable();
    this.colors = [];
    this.frame = null;
    this.painted = '';
  }

  take(frame) {
    this.frame?.bitmap.close();
    this.frame = frame;
    this.painted = '';
    for (const canvas of [this.canvas, this.layer]) {
      if (canvas.width !== frame.width || canvas.height !== frame.height) {
        canvas.width = frame.width;
        canvas.height = frame.height;
      }
    }
  }

  // wish: {view, alpha 0..1, least 0..255, focus: class or null}
  paint(wish) {
    if (!this.frame) return;
    const { width, height, bitmap } = this.frame;
    this.context.globalAlpha = 1;
    this.context.fillStyle = '#000';
    this.context.fillRect(0, 0, width, height);
    if (wish.view === 'overlay' || wish.view === 'input') {
      this.context.drawImage(bitmap, 0, 0, width, height);
    }
    if (wish.view !== 'input') {
      this.fill(wish);
      this.context.globalAlpha = wish.view === 'overlay' ? wish.alpha : 1;
      this.context.drawImage(this.layer, 0, 0);
    }
  }

  // Only what changes the layer makes it anew; the strength of the overlay does not.
  fill(wish) {
    const confidence = wish.view === 'confidence';
    const key = JSON.stringify([confidence, wish.least, wish.focus]);
    if (key === this.painted) return;
    this.painted = key;
    const { width, height, labels, confidences } = this.frame;
    const image = new ImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const table = confidence ? this.scale : this.table(wish.focus);
    const values = confidence ? confidences : labels;
    for (let i = 0; i < out.length; i += 1) {
      out[i] = confidences[i] < wish.least ? 0 : table[values[i]];
    }
    this.layer.getContext('2d').putImageData(image, 0, 0);
  }

  table(focus) {
    const table = new Uint32Array(256);
    this.colors.forEach((color, id) => {
      table[id] = packed(...color, focus === null || focus === id ? 255 : DIMMED);
    });
    table[UNLABELLED] = 0;
    return table;
  }

  // Class and confidence (0..255) below a point of the window; null beside the picture.
  at(x, y) {
    if (!this.frame) return null;
    const box = this.canvas.getBoundingClientRect();
    const { width, height, labels, confidences } = this.frame;
    const scale = Math.min(box.width / width, box.height / height);
    const column = Math.floor((x - box.left - (box.width - width * scale) / 2) / scale);
    const row = Math.floor((y - box.top - (box.height - height * scale) / 2) / scale);
    if (column < 0 || row < 0 || column >= width || row >= height) return null;
    const place = row * width + column;
    return { label: labels[place], confidence: confidences[place], column, row };
  }
}
