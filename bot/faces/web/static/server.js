// Talking to the studio's JSON API.

import { language } from "./words.js";

/** What the studio refused: `message` is fit to be shown; `position`, `suggestion`, `count` may be there. */
export class Refusal extends Error {
  constructor(status, told) {
    super(told.error ?? `HTTP ${status}`);
    this.status = status;
    Object.assign(this, told);
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

async function call(method, path, body, { signal } = {}) {
  const options = { method, signal, headers: { "Accept-Language": language() } };
  if (body instanceof FormData) {
    options.body = body;
  } else if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error.message);
  }
  if (response.status === 401) location.assign(`/login?${new URLSearchParams({ to: location.pathname })}`);
  const told = await response.json().catch(() => ({}));
  signal?.throwIfAborted(); // while the answer was read
  if (!response.ok) throw new Refusal(response.status, told);
  return told;
}

export const read = (path, options) => call("GET", path, undefined, options);
export const send = (path, body = {}, options) => call("POST", path, body, options);
export const remove = (path) => call("DELETE", path);
export const cancel = (id) => remove(`/api/jobs/${id}`);

/** A multipart form, for bodies with pictures. */
export function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) data.append(name, value, value.name ?? `${name}.png`);
    else if (value !== undefined && value !== null) data.append(name, String(value));
  }
  return data;
}

/** A file as a data URL, for bodies in JSON. */
export function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
