// The dashboard: the lists of the management API, one of their rows as it is, and what can be done
// with it. What a hub answers is put in as text, never as HTML. The key stays in this tab.
"use strict";

const STATUSES = ["pending", "waiting", "delivered", "dead", "cancelled"];
const OUTCOMES = ["dead", "unknown", "expired", "refused"];

// `filters`: the parameters of the list; an array is what there is to choose from. `actions`: what
// a row can be asked for; `when` says of which rows. `links`: views of what belongs to it.
const VIEWS = {
  subscribers: {
    title: "Subscribers",
    filters: { name: "", event_type: "", paused: ["true", "false"], is_active: ["true", "false"] },
    columns: ["name", "event_type", "webhook_url", "circuit", "failing_since", "paused_reason"],
    actions: [
      { name: "Pause", method: "POST", path: "/pause", when: (row) => !row.paused },
      { name: "Resume", method: "POST", path: "/resume", when: (row) => row.paused },
      { name: "Test", method: "POST", path: "/test", tells: told_of_test },
    ],
    links: { Messages: "#messages?subscriber=", "Dead letters": "#dlq?subscriber=" },
  },
  events: {
    title: "Events",
    filters: { event_type: "", organization_id: "", user_id: "", since: "", until: "" },
    columns: ["accepted_at", "event_type", "organization_id", "user_id", "id"],
    actions: [],
  },
  messages: {
    title: "Messages",
    filters: { status: STATUSES, subscriber: "", event_type: "", organization_id: "", since: "" },
    columns: ["accepted_at", "status", "reason", "subscriber", "event_type", "attempts",
      "last_error", "next_attempt_at"],
    actions: [
      { name: "Send again", method: "POST", path: "/retry",
        when: (row) => ["delivered", "dead"].includes(row.status) },
    ],
  },
  dlq: {
    title: "Dead letters",
    filters: { subscriber: "", outcome: OUTCOMES, reason: "", last_status: "", event_type: "",
      since: "" },
    columns: ["failed_at", "reason", "last_status", "subscriber", "event_type", "attempts",
      "last_error"],
    actions: [
      { name: "Send again", method: "POST", path: "/retry", when: (row) => !row.retrying },
      { name: "Discard", method: "DELETE", path: "", sure: "Give this dead letter up?" },
    ],
  },
};

const at = (id) => document.getElementById(id);
let turn = 0; // of what was asked for last: a slow answer of an earlier one is dropped

function element(name, text, members = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  return Object.assign(made, members);
}

function tell(text, fault = false) {
  at("told").textContent = text;
  at("told").className = fault ? "fault" : "";
}

// The text of an answer. Faults are thrown with the hub's own words.
async function ask(method, path) {
  const key = sessionStorage.getItem("key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch(path, { method, headers });
  const text = await answer.text();
  if (answer.ok) return text;
  if (answer.status === 401) at("key").hidden = false;
  let detail = "";
  try {
    detail = JSON.parse(text).detail;
  } catch { /* not the hub's */ }
  throw new Error(`${answer.status}: ${detail || "no reason given"}`);
}

function told_of_test(text) {
  const done = JSON.parse(text);
  return done.delivered ? `delivered: ${done.status}` : `not delivered: ${done.error}`;
}

// JSON with line breaks, its values as they were written: numbers of JavaScript would round them.
function indented(json) {
  let depth = 0, out = "";
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "}" || token === "]") out += "\n" + "  ".repeat(--depth);
    out += token;
    if (token === "{" || token === "[") out += "\n" + "  ".repeat(++depth);
    if (token === ",") out += "\n" + "  ".repeat(depth);
    if (token === ":") out += " ";
  }
  return out.replace(/([{[])\s+([}\]])/g, "$1$2");
}

// #messages?status=waiting
function place() {
  const [name, query = ""] = location.hash.slice(1).split("?");
  return { name: name in VIEWS ? name : "subscribers", query: new URLSearchParams(query) };
}

function go(name, query) {
  const text = query.toString();
  const hash = "#" + name + (text ? "?" + text : "");
  if (hash === location.hash) show();
  else location.hash = hash;
}

function show_views(current) {
  at("views").replaceChildren(...Object.entries(VIEWS).map(([name, view]) => {
    const link = element("a", view.title, { href: "#" + name });
    if (name === current) link.setAttribute("aria-current", "page");
    return link;
  }));
}

function show_filters(view, query) {
  const fields = Object.entries(view.filters).map(([name, choice]) => {
    const label = element("label", name + " ");
    const field = element(Array.isArray(choice) ? "select" : "input", null, { name });
    if (Array.isArray(choice)) field.append(...["", ...choice].map((one) => element("option", one)));
    field.value = query.get(name) ?? "";
    label.append(field);
    return label;
  });
  at("filters").replaceChildren(...fields, element("button", "Show"));
}

function action_button(name, row, action) {
  const button = element("button", action.name, { type: "button" });
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    if (action.sure && !confirm(action.sure)) return;
    button.disabled = true;
    try {
      const answer = await ask(action.method, `/${name}/${row.id}${action.path}`);
      await show();
      tell(`${action.name}: ${action.tells ? action.tells(answer) : "done"}`);
    } catch (fault) {
      button.disabled = false;
      tell(fault.message, true);
    }
  });
  return button;
}

async function show_detail(path) {
  try {
    at("text").textContent = indented(await ask("GET", path));
    at("detail").showModal();
  } catch (fault) {
    tell(fault.message, true);
  }
}

function table_row(name, view, row) {
  const line = element("tr");
  for (const column of view.columns) line.append(element("td", row[column]));
  const last = element("td");
  const details = element("button", "Details", { type: "button" });
  details.addEventListener("click", () => show_detail(`/${name}/${row.id}`));
  const able = view.actions.filter((action) => !action.when || action.when(row));
  last.append(details, ...able.map((action) => action_button(name, row, action)));
  for (const [title, to] of Object.entries(view.links ?? {})) {
    last.append(element("a", title, { href: to + row.id }), " ");
  }
  line.append(last);
  return line;
}

async function show_rows(name, query, mine) {
  const view = VIEWS[name];
  const page = JSON.parse(await ask("GET", `/${name}?${query}`));
  if (mine !== turn) return;
  at("rows").append(...page.data.map((row) => table_row(name, view, row)));
  at("more").hidden = page.next_cursor === null;
  at("more").onclick = () => {
    const next = new URLSearchParams(query);
    next.set("cursor", page.next_cursor);
    show_rows(name, next, mine).catch((fault) => tell(fault.message, true));
  };
  if (!at("rows").children.length && at("more").hidden) tell("There are none.");
}

async function show() {
  const { name, query } = place();
  const mine = ++turn;
  tell("");
  show_views(name);
  show_filters(VIEWS[name], query);
  at("head").replaceChildren(...VIEWS[name].columns.map((column) => element("th", column)),
    element("th"));
  at("rows").replaceChildren();
  at("more").hidden = true;
  try {
    await show_rows(name, query, mine);
  } catch (fault) {
    if (mine === turn) tell(fault.message, true);
  }
}

async function show_health() {
  try {
    const health = JSON.parse(await (await fetch("/health")).text());
    at("health").textContent = `${health.status}, database ${health.database}`;
  } catch {
    at("health").textContent = "not reachable";
  }
}

at("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(event.target)) if (value) query.set(name, value);
  go(place().name, query);
});
at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", new FormData(event.target).get("key").trim());
  at("key").hidden = true;
  show();
});
window.addEventListener("hashchange", show);
setInterval(show_health, 5000);
show_health();
show();
