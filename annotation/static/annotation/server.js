// Talks to the API. Errors carry the status, and the server's own words.

import { say } from "./words.js";

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Offline extends Error {}

const csrf = () => document.querySelector("meta[name=csrf-token]").content;

export async function ask(path, { method = "GET", body, keepalive = false } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrf();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, keepalive, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Offline(say("server_away"));
  }
  if (response.status === 204) return null;
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Refused(response.status, "unreadable", say("server_silent", { status: String(response.status) }));
  }
  if (!response.ok) throw new Refused(response.status, answer.error?.code ?? "", answer.error?.message ?? say("server_silent", { status: String(response.status) }));
  return answer;
}

// Sends one file, telling how far it is. Resolves with the server's answer.
export function send(path, file, onProgress, field = "file") {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append(field, file, file.webkitRelativePath || file.name || field);
    request.open("POST", path);
    request.setRequestHeader("X-CSRFToken", csrf());
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Offline(say("server_away")));
    request.onload = () => {
      const answer = request.response;
      if (request.status < 300 && answer) resolve(answer);
      else reject(new Refused(request.status, answer?.error?.code ?? "", answer?.error?.message ?? say("server_silent", { status: String(request.status) })));
    };
    request.send(form);
  });
}
