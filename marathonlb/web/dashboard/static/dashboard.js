// Keeps a page up to date: after an event (/api/events) the page is fetched again, and the differences are applied. So
// only the server renders pages, and they can be read without this script, too.
"use strict";

(() => {
  const MIN_INTERVAL = 500; // minimum number of milliseconds between two updates
  const TIMEOUT = 15000; // milliseconds that an answer may take
  const RETRY = 2000; // milliseconds until a refused stream is opened again
  const TYPING = 180; // milliseconds after the last key until a search begins

  const $ = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  document.documentElement.classList.add("scripted");

  // ---- relative times, in the server's words and by its clock

  let skew = 0;
  const setClock = () => { skew = Number(document.body.dataset.now) - Date.now() / 1000; };

  const ago = (seconds) => {
    if (seconds < 1) return "now";
    for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= unit) return `${Math.floor(seconds / unit)} ${name} ago`;
    }
    return `${Math.floor(seconds)} s ago`;
  };

  const tick = () => {
    const now = Date.now() / 1000 + skew;
    for (const time of document.querySelectorAll("time[data-at]")) {
      const message = ago(now - Number(time.dataset.at));
      if (time.firstChild && time.firstChild.nodeValue !== message) time.firstChild.nodeValue = message;
    }
  };

  // ---- apply a new page with as few changes as possible, so that focus, selection and scroll position stay

  const keyOf = (node) => (node.nodeType === 1 && (node.dataset.key || node.id)) || "";
  const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

  const flash = (node) => {
    const spot = node.parentElement && node.parentElement.closest("[data-flash]");
    if (!spot || still.matches) return;
    // The variable, not its colour: if the colour scheme changes meanwhile, this changes with the text.
    spot.animate([{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }], { duration: 1600 });
  };

  const morphAttributes = (from, to) => {
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  };

  const morph = (from, to) => {
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) {
        from.nodeValue = to.nodeValue;
        flash(from);
      }
      return;
    }
    if ("keep" in from.dataset || from.isEqualNode(to)) return;
    if (from.matches("input, select") && from.type !== "hidden") {
      if (from.nodeName === "SELECT" && document.activeElement !== from) {
        const chosen = from.value;
        morphChildren(from, to);
        from.value = chosen;
      }
      return; // keep what the user has typed or chosen
    }
    morphAttributes(from, to);
    morphChildren(from, to);
  };

  const morphChildren = (from, to) => {
    const keyed = new Map();
    for (const child of from.children) if (keyOf(child)) keyed.set(keyOf(child), child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = keyOf(wanted);
      const match = key ? keyed.get(key) : at;
      if (match && alike(match, wanted)) {
        if (match === at) at = at.nextSibling;
        else from.insertBefore(match, at);
        morph(match, wanted);
      } else {
        from.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  const assets = (page) => page.querySelector("script[src]")?.getAttribute("src");

  const show = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!page.body.dataset.now) return false; // not a page of the controller: HAProxy's own error page, for example
    if (assets(page) !== assets(document)) { // the controller has another version now
      location.reload();
      return true;
    }
    document.title = page.title;
    morph(document.body, page.body);
    showToken();
    setClock();
    tick();
    return true;
  };

  // ---- the admin token: kept for this tab only, and sent with the requests of this script

  const TOKEN = "marathon-lb-admin-token";
  let token = "";
  try {
    token = sessionStorage.getItem(TOKEN) || "";
  } catch {
    // the browser stores nothing: the token is known until the page is left
  }

  const withToken = (headers) => (token ? { ...headers, Authorization: `Bearer ${token}` } : headers);

  const showToken = (message) => {
    const form = $("token");
    if (!form) return;
    form.hidden = "admin" in document.body.dataset && !token;
    form.classList.toggle("has-token", Boolean(token));
    if (message !== undefined) $("token-says").textContent = message;
  };

  const keepToken = (text, message) => {
    token = text;
    try {
      if (text) sessionStorage.setItem(TOKEN, text);
      else sessionStorage.removeItem(TOKEN);
    } catch {
      // as above
    }
    showToken(message);
  };

  const isRefused = (answer) => Boolean(token) && (answer.status === 401 || answer.status === 429);

  document.addEventListener("submit", (event) => {
    if (event.target !== $("token")) return;
    event.preventDefault();
    const text = $("token-text").value.trim();
    $("token-text").value = "";
    if (!/^[\x21-\x7e]+$/.test(text)) {
      showToken("Not a valid token.");
      return;
    }
    keepToken(text, "");
    updateNow();
  });

  $("token-forget")?.addEventListener("click", () => {
    keepToken("", "");
    updateNow();
  });

  // ---- updating

  let due, began = -MIN_INTERVAL, asking = null;

  const lost = (message) => {
    const place = $("lost");
    place.hidden = !message;
    if (place.textContent !== message) place.textContent = message;
  };

  const update = async () => {
    due = undefined;
    began = performance.now();
    asking?.abort();
    const asked = (asking = new AbortController());
    const late = setTimeout(() => asked.abort("late"), TIMEOUT);
    let message = "";
    try {
      const answer = await fetch(location.href, { headers: withToken({}), signal: asked.signal, cache: "no-store" });
      const text = await answer.text();
      if (isRefused(answer)) {
        keepToken("", text);
        updateSoon();
      } else if (asking === asked && !show(text)) message = "The controller does not answer. HAProxy keeps serving; this page is out of date.";
    } catch {
      message = "The stats address does not answer; this page is out of date.";
    } finally {
      clearTimeout(late);
    }
    if (asking === asked) {
      asking = null;
      lost(message);
    }
  };

  const updateSoon = () => {
    if (document.hidden || due !== undefined) return;
    due = setTimeout(update, Math.max(0, began + MIN_INTERVAL - performance.now()));
  };

  const updateNow = () => {
    clearTimeout(due);
    due = undefined;
    return update();
  };

  // ---- events; a hidden page closes its stream, since a browser has few connections

  let stream = null, again;

  const showLink = (live) => {
    const link = $("link");
    link.hidden = false;
    link.classList.toggle("is-live", live);
    link.textContent = live ? "live" : "connecting";
  };

  const listen = () => {
    clearTimeout(again);
    stream?.close();
    stream = new EventSource("/api/events");
    stream.onopen = () => { showLink(true); updateSoon(); };
    stream.addEventListener("timeline", updateSoon);
    stream.addEventListener("missed", updateSoon);
    stream.onerror = () => {
      showLink(false);
      updateSoon();
      if (stream.readyState === EventSource.CLOSED) again = setTimeout(listen, RETRY);
    };
  };

  const seen = () => {
    if (document.hidden) {
      clearTimeout(again);
      stream?.close();
      stream = null;
      showLink(false);
    } else if (!stream) {
      listen();
    }
  };

  let sinceUpdate = 0;

  const everySecond = () => {
    tick();
    const refresh = Number(document.body.dataset.refresh);
    sinceUpdate += 1;
    if ((refresh && sinceUpdate >= refresh) || (!$("lost").hidden && sinceUpdate >= 2)) {
      sinceUpdate = 0;
      updateSoon();
    }
  };

  // ---- searching while typing

  let typing;

  const search = (form) => {
    const fields = [...new FormData(form)].filter(([, value]) => value);
    const query = new URLSearchParams(fields).toString();
    history.replaceState(null, "", form.getAttribute("action") + (query ? `?${query}` : ""));
    updateNow();
  };

  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form || !("live" in form.dataset)) return;
    clearTimeout(typing);
    typing = setTimeout(search, TYPING, form);
  });

  document.addEventListener("submit", (event) => {
    if (!("live" in event.target.dataset)) return;
    event.preventDefault();
    clearTimeout(typing);
    search(event.target);
  });

  // ---- changes: with a confirmation, and a message if they fail

  const post = async (button) => {
    const answer = await fetch(button.dataset.post, {
      method: "POST",
      headers: withToken({ "Content-Type": "application/json" }),
      body: button.dataset.body,
    });
    if (answer.ok) return "";
    const text = await answer.text();
    if (isRefused(answer)) keepToken("", "The token is no longer valid.");
    try {
      return JSON.parse(text).error || text;
    } catch {
      return `${answer.status} ${text.slice(0, 300)}`;
    }
  };

  const ask = (button) => {
    const sure = $("sure");
    $("sure-title").textContent = button.dataset.title;
    $("sure-text").textContent = button.dataset.text;
    $("sure-yes").textContent = button.dataset.do;
    $("sure-error").textContent = "";
    $("sure-no").onclick = () => sure.close();
    $("sure-yes").onclick = async () => {
      $("sure-yes").disabled = true;
      let message;
      try {
        message = await post(button);
      } catch {
        message = "The controller does not answer.";
      }
      $("sure-yes").disabled = false;
      $("sure-error").textContent = message;
      if (!message) {
        sure.close();
        await updateNow();
      }
    };
    sure.showModal();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-post]");
    if (button) ask(button);
  });

  if (!location.hash) document.querySelector(".line.is-marked")?.scrollIntoView({ block: "center" });
  setClock();
  setInterval(everySecond, 1000);
  document.addEventListener("visibilitychange", seen);
  seen();
  showToken();
  if (token) updateNow();
})();
