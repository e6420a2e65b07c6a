// Where the hub is: above the folder of this file, whatever path a proxy has put before it.

// hub is the address of a path of the hub, such as "/push".
export function hub(path) {
  return new URL(".." + path, import.meta.url).href;
}
