'use strict';
(() => {
  // Values of the slot that is pointed at, in every legend of a section, and a line through it.
  class Section {
    constructor(element, document_, embedded) {
      this.element = element;
      this.document = document_;
      this.bars = document_.get_model_by_id(embedded.bars);
      this.lines = document_.get_model_by_id(embedded.lines);
      this.range = document_.get_model_by_id(embedded.range);
      this.end = this.range.end;
      this.slot = null;
      this.plots = document_.roots().map((model) => {
        const holder = document.getElementById(embedded.roots[model.id]);
        const cursor = holder.appendChild(document.createElement('div'));
        cursor.className = 'cursor';
        cursor.hidden = true;
        return { model, holder, cursor, view: Bokeh.index.get_by_id(model.id) };
      });
      this.values = [...element.querySelectorAll('.legend output')];
      this.slider = element.querySelector('.time-bar input');
      this.told = element.querySelector('.time-bar output');
      this.listen();
    }

    listen() {
      for (const { model } of this.plots) {
        for (const name of ['mousemove', 'tap']) {
          model.on_event(name, (event) => this.pointAt(event.x));
        }
        model.on_event('doubletap', () => this.show(0, this.end));
      }
      this.slider.addEventListener('input', () => this.select(Number(this.slider.value)));
      for (const button of this.element.querySelectorAll('[data-zoom]')) {
        button.addEventListener('click', () => this.zoom(button.dataset.zoom));
      }
      for (const property of ['start', 'end']) {
        this.range.properties[property].change.connect(() => this.drawSoon());
      }
    }

    // the slot that lasts at a time, or the nearest before it
    pointAt(time) {
      const begins = this.bars.data.left;
      let low = 0;
      let high = begins.length - 1;
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (begins[middle] <= time) low = middle;
        else high = middle - 1;
      }
      this.select(low);
    }

    select(slot) {
      this.slot = slot;
      this.slider.value = slot;
      this.drawSoon();
    }

    zoom(how) {
      const { start, end } = this.range;
      const length = end - start;
      const middle = this.slot === null ? (start + end) / 2 : this.time();
      if (how === 'all') this.show(0, this.end);
      else if (how === 'in') this.show(middle - length / 4, middle + length / 4);
      else if (how === 'out') this.show(middle - length, middle + length);
      else {
        const step = (how === 'left' ? -1 : 1) * Math.min(length / 2,
          how === 'left' ? start : this.end - end);
        this.show(start + step, end + step);
      }
    }

    show(start, end) {
      this.range.setv({ start: Math.max(start, 0), end: Math.min(end, this.end) });
    }

    time() {
      return (this.bars.data.left[this.slot] + this.bars.data.right[this.slot]) / 2;
    }

    drawSoon() {
      if (this.pending || this.slot === null) return;
      this.pending = requestAnimationFrame(() => {
        this.pending = 0;
        this.draw();
      });
    }

    draw() {
      const { left, right, row } = this.bars.data;
      const round = (time) => Number(time.toFixed(right[this.slot] - left[this.slot] < 1 ? 2 : 1));
      this.told.textContent = `${round(left[this.slot])} to ${round(right[this.slot])} s`;
      for (const value of this.values) {
        const { source, column, decimals } = value.dataset;
        const index = source === 'bars' ? this.slot : row[this.slot];
        const number = this[source].data[column][index];
        value.textContent = Number.isFinite(number) ? number.toFixed(Number(decimals)) : 'not known';
      }
      const part = (this.time() - this.range.start) / (this.range.end - this.range.start);
      for (const { view, holder, cursor } of this.plots) {
        const { left: begin, right: end, top, height } = view.frame.bbox;
        const beside = begin + holder.clientWidth - end;
        cursor.hidden = part < 0 || part > 1;
        cursor.style.left = `calc(${begin}px + ${part} * (100% - ${beside}px))`;
        cursor.style.top = `${top}px`;
        cursor.style.height = `${height}px`;
      }
    }
  }

  // Bokeh draws on canvases, which styles do not reach.
  function colour(document_, onPaper) {
    const light = { '--text': '#1b1f24', '--soft': '#57606a', '--line': '#d5dae0', '--grid': '#e3e7eb' };
    const styles = getComputedStyle(document.documentElement);
    const of = (name) => (onPaper ? light[name] : styles.getPropertyValue(name).trim());
    for (const plot of document_.roots()) {
      for (const axis of [...plot.below, ...plot.left]) {
        axis.setv({
          axis_label_text_color: of('--soft'), major_label_text_color: of('--text'),
          axis_line_color: of('--line'), major_tick_line_color: of('--line'),
          minor_tick_line_color: null,
        });
      }
      for (const grid of plot.center) {
        if ('grid_line_color' in grid && grid.dimension === 1 && grid.grid_line_color !== null) {
          grid.grid_line_color = of('--grid');
        }
      }
    }
  }

  async function begin() {
    const documents = [];
    for (const element of document.querySelectorAll('section.run')) {
      const embedded = JSON.parse(element.querySelector('script.document').textContent);
      const before = new Set(Bokeh.documents);
      const item = {
        docid: embedded.docid, roots: embedded.roots, root_ids: Object.keys(embedded.roots),
      };
      await Bokeh.embed.embed_items({ [embedded.docid]: embedded.document }, [item]);
      const document_ = Bokeh.documents.find((one) => !before.has(one));
      colour(document_, false);
      if (matchMedia('(pointer: coarse)').matches) {
        // a finger scrolls the page; it zooms by the buttons
        for (const plot of document_.roots()) for (const tool of plot.toolbar.tools) tool.active = false;
      }
      documents.push(document_);
      new Section(element, document_, embedded);
    }
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      documents.forEach((document_) => colour(document_, false));
    });
    addEventListener('beforeprint', () => {
      for (const one of documents) {
        colour(one, true);
        // at once, as paper does not wait for the next frame
        for (const model of one.roots()) Bokeh.index.get_by_id(model.id).paint();
      }
    });
    addEventListener('afterprint', () => documents.forEach((one) => colour(one, false)));
    document.documentElement.dataset.drawn = documents.length;
  }
  begin();
})();
