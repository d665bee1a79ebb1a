// Requests to this service that change something: with the page's CSRF token, never to another host.

/** @returns {string} */
export function token() {
  return document.querySelector("meta[name=csrf]").content;
}

/**
 * Sends a form or a JSON object.
 * @param {string} url
 * @param {FormData|object} body
 * @param {{method?: string, keepalive?: boolean}} [options]
 * @returns {Promise<Response>}
 */
export function send(url, body, { method = "POST", keepalive = false } = {}) {
  const form = body instanceof FormData;
  const headers = { "X-CSRFToken": token(), Accept: "application/json" };
  if (!form) headers["Content-Type"] = "application/json";
  return fetch(url, { method, headers, keepalive, redirect: "manual", body: form ? body : JSON.stringify(body) });
}

/** Whether the answer says that nobody is signed in any more: the way to the log-in page, or 401. @param {Response} response */
export function signedOut(response) {
  return response.type === "opaqueredirect" || response.status === 401;
}
