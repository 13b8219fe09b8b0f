// Read every array of a Zarr store with zarrita: node --input-type=module - STORE FOLDER < zarrita.mjs
// FOLDER gets the values of each array as they lie in memory, stdout what they are.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as zarr from "zarrita";
import { FileSystemStore } from "@zarrita/storage";

const [path, folder, ...names] = process.argv.slice(2);
const store = new FileSystemStore(path);
const root = await zarr.open.v3(store, { kind: "group" });
const arrays = {};
for (const name of names) {
  const array = await zarr.open.v3(root.resolve(name), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  writeFileSync(join(folder, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  arrays[name] = { dtype: array.dtype, shape, kind: data.constructor.name, attrs: array.attrs };
}
console.log(JSON.stringify({ attrs: root.attrs, arrays }));
