// The classes, their colours and their shares of the picture.

export class Legend {
  constructor(list, focus) {
    this.list = list;
    this.focus = focus;
    this.classes = [];
  }

  name(classes) {
    this.classes = classes;
    this.list.replaceChildren(...classes.map(({ name, color }, id) => {
      const row = document.createElement('li');
      const [swatch, text, bar, share] = ['i', 'span', 'div', 'span'].map((tag) =>
        row.appendChild(document.createElement(tag)));
      swatch.style.background = `rgb(${color})`;
      text.textContent = name;
      bar.className = 'bar';
      bar.appendChild(document.createElement('u')).style.background = `rgb(${color})`;
      share.textContent = '–';
      row.onpointerenter = () => this.focus(id);
      row.onpointerleave = () => this.focus(null);
      return row;
    }));
  }

  show(shares) {
    shares.forEach((share, id) => {
      const row = this.list.children[id];
      row.classList.toggle('absent', share === 0);
      row.querySelector('u').style.width = `${100 * share}%`;
      row.lastChild.textContent = share === 0 ? '–' : `${(100 * share).toFixed(1)} %`;
    });
  }

  point(label) {
    [...this.list.children].forEach((row, id) => row.classList.toggle('pointed', id === label));
  }
}
