// The photograph and what is drawn on it: a box, strokes, or a trimap.
const INK = { foreground: "#ffffff", background: "#000000", unknown: "#808080" };
const KEPT = { steps: 20, pixels: 6e7 }; // of what can be undone; 6e7 pixels take 240 MB

export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

export function fileOf(canvas, kind = "image/png", quality = undefined) {
  return new Promise((resolve) => canvas.toBlob(resolve, kind, quality));
}

export class Editor {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed; // called after each stroke and each box
    this.tool = "box";
    this.brush = "foreground";
    this.size = 4; // of the brush, in per cent of the longest side
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.end());
  }

  open(photo, box = null) {
    const { width, height } = photo;
    this.photo = photo;
    Object.assign(this.canvas, { width, height });
    this.box = box ?? [width / 8, height / 8, (width * 3) / 4, (height * 3) / 4].map(Math.round);
    this.scribbles = canvasOf(width, height);
    this.mask = this.trimap = null;
    this.past = []; // what stroke, box and clearing have changed, the last one at the end
    this.draw();
  }

  // A mask or trimap from a file or from the server, as a picture of the photograph's size.
  take(which, picture) {
    if (picture.width !== this.photo.width || picture.height !== this.photo.height) {
      const sizes = [picture, this.photo].map((one) => `${one.width}x${one.height}`);
      throw new Error(`the ${which} has ${sizes[0]} pixels, the photograph ${sizes[1]}`);
    }
    this[which] = canvasOf(picture.width, picture.height);
    this[which].getContext("2d").drawImage(picture, 0, 0);
    this.past = this.past.filter(({ tool }) => tool !== which);
    this.draw();
  }

  // What the tool has drawn so far, for `undo`.
  keep() {
    let before = this.tool === "box" ? [...this.box] : this[this.tool];
    if (before instanceof HTMLCanvasElement) {
      before = canvasOf(this.photo.width, this.photo.height);
      before.getContext("2d").drawImage(this[this.tool], 0, 0);
    }
    this.past.push({ tool: this.tool, before });
    const most = Math.min(KEPT.steps, Math.max(1, Math.floor(KEPT.pixels / (this.photo.width * this.photo.height))));
    this.past = this.past.slice(-most);
  }

  // Take the tool's last change back.
  undo() {
    const last = this.past?.findLastIndex(({ tool }) => tool === this.tool) ?? -1;
    if (last < 0 || this.from) return;
    const [{ before }] = this.past.splice(last, 1);
    this[this.tool] = before;
    this.draw();
    this.changed();
  }

  clear() {
    this.keep();
    if (this.tool === "scribbles") this.scribbles = canvasOf(this.photo.width, this.photo.height);
    else this.trimap = null;
    this.draw();
    this.changed();
  }

  // What the server is sent for a tool; null where nothing is drawn yet.
  async field(tool = this.tool) {
    if (tool === "box") return this.box.join(",");
    if (tool === "scribbles") return fileOf(this.scribbles);
    if (tool === "mask") return this.mask && fileOf(this.mask);
    if (!this.trimap) return null;
    const copy = canvasOf(this.trimap.width, this.trimap.height), context = copy.getContext("2d");
    context.drawImage(this.trimap, 0, 0);
    const pixels = context.getImageData(0, 0, copy.width, copy.height), data = pixels.data;
    for (let i = 0; i < data.length; i += 4) {
      // The rims of strokes are blends: three values are left.
      data[i] = data[i + 1] = data[i + 2] = data[i] < 64 ? 0 : data[i] > 191 ? 255 : 128;
      data[i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    return fileOf(copy);
  }

  draw() {
    if (!this.photo) return;
    const { width, height } = this.canvas, context = this.canvas.getContext("2d");
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
    context.drawImage(this.photo, 0, 0);
    const shown = this.tool === "mask" ? this.mask : this.tool === "trimap" ? this.trimap : null;
    if (shown) {
      context.globalCompositeOperation = "multiply";
      context.globalAlpha = 0.85;
      context.drawImage(shown, 0, 0);
    } else if (this.tool === "scribbles") {
      context.drawImage(this.scribbles, 0, 0);
    } else if (this.tool === "box") {
      const [left, top, wide, high] = this.box, line = Math.max(1, Math.round(Math.max(width, height) / 300));
      context.fillStyle = "rgb(0 0 0 / 55%)";
      context.beginPath();
      context.rect(0, 0, width, height);
      context.rect(left, top, wide, high);
      context.fill("evenodd");
      context.strokeStyle = "#ffffff";
      context.lineWidth = line;
      context.strokeRect(left, top, wide, high);
    }
  }

  // ---- the pointer

  at(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - area.left) * this.canvas.width) / area.width;
    const y = ((event.clientY - area.top) * this.canvas.height) / area.height;
    return [Math.min(Math.max(x, 0), this.canvas.width), Math.min(Math.max(y, 0), this.canvas.height)];
  }

  begin(event) {
    if (event.button !== 0 || !this.photo || this.tool === "mask") return;
    this.canvas.setPointerCapture(event.pointerId);
    this.keep();
    this.from = this.last = this.at(event);
    if (this.tool === "trimap" && !this.trimap) {
      this.trimap = canvasOf(this.photo.width, this.photo.height);
      const context = this.trimap.getContext("2d");
      context.fillStyle = INK.unknown;
      context.fillRect(0, 0, this.trimap.width, this.trimap.height);
    }
    this.go(event);
  }

  go(event) {
    if (!this.from) return;
    const to = this.at(event);
    if (this.tool === "box") {
      const [left, top] = [0, 1].map((axis) => Math.round(Math.min(this.from[axis], to[axis])));
      const [right, low] = [0, 1].map((axis) => Math.round(Math.max(this.from[axis], to[axis])));
      if (right > left && low > top) this.box = [left, top, right - left, low - top];
    } else {
      this.stroke(this.last, to);
      this.last = to;
    }
    this.draw();
  }

  end() {
    if (!this.from) return;
    this.from = null;
    if (this.tool === "box" && String(this.box) === String(this.past.at(-1)?.before)) this.past.pop(); // a mere click
    this.changed();
  }

  stroke(from, to) {
    const context = this[this.tool].getContext("2d");
    const erases = this.tool === "scribbles" && this.brush === "unknown";
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    context.strokeStyle = INK[this.brush];
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = (Math.max(this.canvas.width, this.canvas.height) * this.size) / 100;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(to[0] + 0.01, to[1]); // a line of no length draws nothing
    context.stroke();
  }
}
