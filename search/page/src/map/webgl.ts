// The map by WebGL2: all points in one call, all pictures in another.
import { Atlas, TEXTURE } from "./atlas";
import type { Size } from "./camera";
import type { Points } from "./columns";
import type { Rgb } from "./palette";
import { HIT, type Renderer, type Scene } from "./renderer";

const POINTS = [
  `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in float colour;
layout(location = 2) in float shown;
uniform vec2 centre;
uniform vec2 scale;
uniform float size;
uniform sampler2D palette;
uniform float onlyHits;
out vec4 tint;
out float radius;
void main() {
  bool hit = shown > ${HIT}.0 - 0.5;
  vec2 at = (place - centre) * scale;
  // What is not to be drawn in this call lies where nothing is seen.
  gl_Position = hit == (onlyHits > 0.5) ? vec4(at.x, -at.y, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  float alpha = shown < 0.5 ? 0.16 : hit ? 1.0 : 0.82;
  tint = vec4(texture(palette, vec2((colour + 0.5) / 256.0, 0.5)).rgb, 1.0) * alpha;
  radius = (hit ? 1.6 * size + 2.0 : size) + 1.0;
  gl_PointSize = radius;
}`,
  `#version 300 es
precision mediump float;
in vec4 tint;
in float radius;
out vec4 result;
void main() {
  float away = length(gl_PointCoord - 0.5) * radius;
  result = tint * clamp(radius * 0.5 - away, 0.0, 1.0);
}`,
] as const;

const TILES = [
  `#version 300 es
layout(location = 0) in vec2 corner;
layout(location = 1) in vec4 box;
layout(location = 2) in vec4 part;
layout(location = 3) in vec4 look;
uniform vec2 screen;
uniform sampler2D palette;
out vec2 from;
out vec3 texel;
flat out vec2 half_size;
flat out float alpha;
flat out vec3 edge;
flat out float ring;
void main() {
  half_size = box.zw;
  ring = look.w;
  from = corner * (half_size + ring + 1.0);
  vec2 at = (box.xy + from) / screen * 2.0;
  gl_Position = vec4(at.x - 1.0, 1.0 - at.y, 0.0, 1.0);
  vec2 share = clamp(from / half_size * 0.5 + 0.5, 0.0, 1.0);
  texel = vec3(part.xy + share * part.zw, look.x);
  alpha = look.y;
  edge = texture(palette, vec2((look.z + 0.5) / 256.0, 0.5)).rgb;
}`,
  `#version 300 es
precision highp float;
precision highp sampler2DArray;
in vec2 from;
in vec3 texel;
flat in vec2 half_size;
flat in float alpha;
flat in vec3 edge;
flat in float ring;
uniform sampler2DArray pictures;
out vec4 result;
float outside(vec2 half_box, float corner) {
  vec2 away = abs(from) - half_box + corner;
  return length(max(away, 0.0)) + min(max(away.x, away.y), 0.0) - corner;
}
void main() {
  float corner = min(6.0, min(half_size.x, half_size.y) * 0.3);
  float picture = clamp(0.5 - outside(half_size, corner), 0.0, 1.0);
  float whole = clamp(0.5 - outside(half_size + ring, corner + ring), 0.0, 1.0);
  vec3 colour = mix(edge, texture(pictures, texel).rgb, picture);
  result = vec4(colour, 1.0) * whole * alpha;
}`,
] as const;

const LAYERS = 4;
const PER_TILE = 12;
const CORNERS = new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]);

/** A program with the places of its uniforms. */
interface Program {
  program: WebGLProgram;
  at: (name: string) => WebGLUniformLocation | null;
}

export class WebGlRenderer implements Renderer {
  readonly kind = "webgl";
  readonly side: number;
  private readonly atlas: Atlas;
  private readonly points: Program;
  private readonly tiles: Program;
  private readonly pointsArray: WebGLVertexArrayObject;
  private readonly tilesArray: WebGLVertexArrayObject;
  private readonly buffers: Record<"places" | "colours" | "shown" | "tiles", WebGLBuffer>;
  private readonly palette: WebGLTexture;
  private readonly pictures: WebGLTexture;
  private hits = false;
  private data = new Float32Array(256 * PER_TILE);

  /** Null where the browser has no WebGL2. */
  static on(canvas: HTMLCanvasElement, density: number): WebGlRenderer | null {
    const gl = canvas.getContext("webgl2", { antialias: false, depth: false, alpha: true, premultipliedAlpha: true, powerPreference: "high-performance" });
    return gl && new WebGlRenderer(gl, density);
  }

  private constructor(
    private readonly gl: WebGL2RenderingContext,
    density: number,
  ) {
    this.side = density > 1 ? 255 : 180;
    this.atlas = new Atlas(density > 1 ? LAYERS + 2 : LAYERS, this.side);
    this.points = programOf(gl, POINTS);
    this.tiles = programOf(gl, TILES);
    this.buffers = { places: gl.createBuffer(), colours: gl.createBuffer(), shown: gl.createBuffer(), tiles: gl.createBuffer() };
    this.pointsArray = gl.createVertexArray();
    gl.bindVertexArray(this.pointsArray);
    attribute(gl, this.buffers.places, 0, 2, gl.UNSIGNED_SHORT, true);
    attribute(gl, this.buffers.colours, 1, 1, gl.UNSIGNED_BYTE, false);
    attribute(gl, this.buffers.shown, 2, 1, gl.UNSIGNED_BYTE, false);
    this.tilesArray = gl.createVertexArray();
    gl.bindVertexArray(this.tilesArray);
    const corners = gl.createBuffer();
    attribute(gl, corners, 0, 2, gl.FLOAT, false);
    gl.bufferData(gl.ARRAY_BUFFER, CORNERS, gl.STATIC_DRAW);
    for (const place of [1, 2, 3]) {
      attribute(gl, this.buffers.tiles, place, 4, gl.FLOAT, false, PER_TILE * 4, (place - 1) * 16);
      gl.vertexAttribDivisor(place, 1);
    }
    gl.bindVertexArray(null);
    this.palette = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    this.pictures = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.pictures);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA8, TEXTURE, TEXTURE, this.atlas.layers);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D_ARRAY, name, gl.LINEAR);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  resize({ width, height, density }: Size): void {
    const { canvas } = this.gl;
    canvas.width = Math.max(1, Math.round(width * density));
    canvas.height = Math.max(1, Math.round(height * density));
    this.gl.viewport(0, 0, canvas.width, canvas.height);
  }

  setPoints(points: Points): void {
    this.fill("places", points.places);
    this.fill("colours", new Uint8Array(points.count));
    this.fill("shown", new Uint8Array(points.count).fill(1));
    this.hits = false;
  }

  setColours(column: Uint8Array<ArrayBuffer> | null): void {
    if (column) this.fill("colours", column);
  }

  setShown(shown: Uint8Array<ArrayBuffer>): void {
    this.hits = shown.includes(HIT);
    this.fill("shown", shown);
  }

  setPalette(palette: readonly Rgb[]): void {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(palette.flatMap((one) => [...one, 255])));
  }

  keep(row: number, picture: ImageBitmap): void {
    const { gl } = this;
    const slot = this.atlas.take(row, picture.width, picture.height);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.pictures);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, slot.x, slot.y, slot.layer, slot.width, slot.height, 1, gl.RGBA, gl.UNSIGNED_BYTE, picture);
  }

  has(row: number): boolean {
    return this.atlas.has(row);
  }

  forgetPictures(): void {
    this.atlas.clear();
  }

  draw({ camera, size, points, pointSize, tiles }: Scene): void {
    const { gl } = this;
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.useProgram(this.points.program);
    gl.bindVertexArray(this.pointsArray);
    gl.uniform2f(this.points.at("centre"), camera.x, camera.y);
    gl.uniform2f(this.points.at("scale"), (2 * camera.zoom) / size.width, (2 * camera.zoom) / size.height);
    gl.uniform1f(this.points.at("size"), pointSize * size.density);
    gl.uniform1i(this.points.at("palette"), 0);
    for (const hits of this.hits ? [0, 1] : [0]) {
      gl.uniform1f(this.points.at("onlyHits"), hits);
      gl.drawArrays(gl.POINTS, 0, points);
    }
    const count = this.placeTiles(tiles, size.density);
    if (count) {
      gl.useProgram(this.tiles.program);
      gl.bindVertexArray(this.tilesArray);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.tiles);
      gl.bufferData(gl.ARRAY_BUFFER, this.data.subarray(0, count * PER_TILE), gl.STREAM_DRAW);
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.pictures);
      gl.uniform2f(this.tiles.at("screen"), size.width * size.density, size.height * size.density);
      gl.uniform1i(this.tiles.at("palette"), 0);
      gl.uniform1i(this.tiles.at("pictures"), 1);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
    }
    gl.bindVertexArray(null);
  }

  dispose(): void {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** Those whose pictures are here, as the shader takes them; how many. */
  private placeTiles(tiles: readonly { row: number; left: number; top: number; width: number; height: number; colour: number; alpha: number; raised: boolean }[], density: number): number {
    if (this.data.length < tiles.length * PER_TILE) this.data = new Float32Array(2 * tiles.length * PER_TILE);
    let count = 0;
    for (const tile of tiles) {
      const slot = this.atlas.get(tile.row);
      if (!slot) continue;
      const half = 0.5; // of a texel: what lies beside it in the texture is another picture
      this.data.set(
        [
          tile.left * density, tile.top * density, (tile.width / 2) * density, (tile.height / 2) * density,
          (slot.x + half) / TEXTURE, (slot.y + half) / TEXTURE, (slot.width - 2 * half) / TEXTURE, (slot.height - 2 * half) / TEXTURE,
          slot.layer, tile.alpha, tile.colour, (tile.raised ? 4 : 2) * density,
        ],
        count * PER_TILE,
      );
      count += 1;
    }
    return count;
  }

  private fill(name: "places" | "colours" | "shown", data: Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): void {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers[name]);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, data, this.gl.STATIC_DRAW);
  }
}

function attribute(gl: WebGL2RenderingContext, buffer: WebGLBuffer, place: number, numbers: number, type: number, normalized: boolean, stride = 0, offset = 0): void {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, numbers, type, normalized, stride, offset);
}

function programOf(gl: WebGL2RenderingContext, sources: readonly [string, string]): Program {
  const program = gl.createProgram();
  sources.forEach((source, place) => {
    const shader = gl.createShader(place ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
    if (!shader) throw new Error("The browser's WebGL makes no shaders.");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(`The map's shaders cannot be used: ${gl.getProgramInfoLog(program) ?? ""}`);
  const places = new Map<string, WebGLUniformLocation | null>();
  const at = (name: string) => {
    if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name));
    return places.get(name) ?? null;
  };
  return { program, at };
}
