// What the server sends for a frame; the format stands in training/view/packets.py.

export async function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const [width, height] = head.sent;
  const jpeg = new Blob([new Uint8Array(buffer, 4 + size, head.jpeg)], { type: 'image/jpeg' });
  const [bitmap, maps] = await Promise.all([
    createImageBitmap(jpeg),
    inflate(new Uint8Array(buffer, 4 + size + head.jpeg)),
  ]);
  const pixels = width * height;
  return {
    ...head, width, height, bitmap,
    labels: maps.subarray(0, pixels),
    confidences: maps.subarray(pixels, 2 * pixels),
  };
}

async function inflate(bytes) {
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}
