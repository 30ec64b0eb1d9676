// The status page: polls `status/data` each second and updates the document in place, so that focus and the reading
// position of a screen reader stay.
'use strict';

const SAMPLES = 120; // seconds of history in a chart
const SHOWN = 50; // deployments of a group that are shown at first
const ALL_OPEN = 60; // up to this many deployments, all groups are open at first
const COOL_DOWN_SECONDS = 60;

const STATES = {
  healthy: ['●', 'Healthy', 'good'],
  slow_start: ['◐', 'Slow start', 'good'],
  cooling_down: ['▲', 'Cooling down', 'bad'],
  half_open: ['◇', 'Half open', 'warn'],
  probing: ['◈', 'Probing', 'warn'],
  drained: ['■', 'Drained', 'off'],
};
const ERRORS = ['unauthorized', 'rate_limited', 'timeout', 'unavailable'];

const $ = (id) => document.getElementById(id);
const views = { groups: new Map(), keys: new Map(), tiles: new Map() };
let key = sessionStorage.getItem('tollgate-key') || '';
let timer = 0;
let polling = false;
let scopes = new Map(); // by scope: the last counts and the rates of each second
let announced = new Map(); // by deployment: the state that was announced
let operator = false;
let notices = '';

// Creates an element. Children are nodes or texts.
function make(tag, attributes = {}, ...children) {
  const namespace = tag === 'svg' || tag === 'path' ? 'http://www.w3.org/2000/svg' : 'http://www.w3.org/1999/xhtml';
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Sets a text, if it changes.
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const number = (value) => value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });
const dollars = (value) => value.toLocaleString('en', { style: 'currency', currency: 'USD', maximumFractionDigits: 4 });
const sum = (results, classes) => classes.reduce((total, name) => total + (results[name] || 0), 0);
const total = (results) => Object.values(results).reduce((all, count) => all + count, 0);
const clock = (millis) => new Date(millis).toLocaleTimeString();

function duration(millis) {
  const seconds = Math.ceil(millis / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days ${Math.floor((seconds % 86400) / 3600)} h`;
}

function latency(millis) {
  if (millis === null) return '–';
  return millis < 1000 ? `${Math.round(millis)} ms` : `${number(millis / 1000)} s`;
}

// Adds the counts of a scope to its history. Returns the rates, and the latencies of the last minute.
function record(scope, data, results, bucketCounts) {
  const now = { at: data.now_ms, done: total(results), errors: sum(results, ERRORS), buckets: bucketCounts };
  let known = scopes.get(scope);
  if (!known || known.last.done > now.done) {
    known = { last: now, requests: [], errors: [], marks: [now], used: 0 };
    scopes.set(scope, known);
  }
  const seconds = (now.at - known.last.at) / 1000;
  if (seconds > 0) {
    // A poll that came late stands for all the seconds since the last one.
    for (let second = 0; second < Math.min(SAMPLES, Math.max(1, Math.round(seconds))); second += 1) {
      known.requests.push((now.done - known.last.done) / seconds);
      known.errors.push((now.errors - known.last.errors) / seconds);
    }
    known.requests.splice(0, known.requests.length - SAMPLES);
    known.errors.splice(0, known.errors.length - SAMPLES);
    known.last = now;
    if (now.at - known.marks.at(-1).at >= 10000) known.marks.push(now);
    while (known.marks.length > 2 && now.at - known.marks[1].at >= 60000) known.marks.shift();
  }
  known.used = data.now_ms;
  return known;
}

// Returns the mean of the last three seconds.
function rate(list) {
  const recent = list.slice(-3);
  return recent.length ? recent.reduce((all, value) => all + value, 0) / recent.length : 0;
}

// Returns the quantile of the last minute, or of all time if the last minute had few requests.
function quantile(known, bounds, part) {
  const all = known.last.buckets;
  const first = known.marks[0].buckets;
  const recent = all.map((count, index) => count - first[index]);
  const counts = recent.reduce((a, b) => a + b, 0) >= 10 ? recent : all;
  const rank = counts.reduce((a, b) => a + b, 0) * part;
  if (rank === 0) return null;
  let below = 0;
  for (let index = 0; index < counts.length; index += 1) {
    if (below + counts[index] >= rank) {
      const from = index ? bounds[index - 1] : 0;
      const to = index < bounds.length ? bounds[index] : from;
      return from + (to - from) * ((rank - below) / counts[index]);
    }
    below += counts[index];
  }
  return bounds.at(-1);
}

function latencies(known, data) {
  const [half, most] = [0.5, 0.95].map((part) => latency(quantile(known, data.bounds_ms, part)));
  const unit = half.split(' ')[1];
  return unit && most.endsWith(` ${unit}`) ? `${half.split(' ')[0]} / ${most}` : `${half} / ${most}`;
}

function newChart(kind) {
  const requests = make('path', { class: 'requests' });
  const errors = make('path', { class: 'errors' });
  const svg = make('svg', { class: `chart ${kind}`, viewBox: `0 0 ${SAMPLES - 1} 40`, preserveAspectRatio: 'none',
    role: 'img' }, requests, errors);
  return { svg, requests, errors };
}

function draw(chart, known) {
  const most = Math.max(1, ...known.requests);
  const shape = (list) => {
    if (!list.length) return '';
    const at = (value, index) =>
      `${SAMPLES - list.length + index} ${(39 - (value / most) * 37).toFixed(1)}`;
    return `M${SAMPLES - list.length} 40L${list.map(at).join('L')}L${SAMPLES - 1} 40Z`;
  };
  attribute(chart.requests, 'd', shape(known.requests));
  attribute(chart.errors, 'd', shape(known.errors));
  attribute(chart.svg, 'aria-label', `${number(rate(known.requests))} requests and ${number(rate(known.errors))} `
    + `errors a second; at most ${number(most)} requests in the last two minutes`);
}

function tile(name, value, note = '') {
  let known = views.tiles.get(name);
  if (!known) {
    known = { value: make('span'), note: make('small') };
    $('tiles').append(make('div', {}, make('dt', {}, name), make('dd', {}, known.value, ' ', known.note)));
    views.tiles.set(name, known);
  }
  write(known.value, value);
  write(known.note, note);
}

function overview(data) {
  const { gateway } = data;
  const known = record('gateway', data, gateway.results, gateway.first_content);
  const deployments = data.groups.flatMap((group) => group.deployments);
  const healthy = deployments.filter((one) => !isProblem(one)).length;
  tile('Requests a second', number(rate(known.requests)), `${number(total(gateway.results))} in all`);
  tile('Errors a second', number(rate(known.errors)), `${number(sum(gateway.results, ERRORS))} in all`);
  tile('In flight', number(gateway.in_flight), `of ${number(gateway.max_in_flight)}`);
  tile('Waiting', number(data.groups.reduce((all, group) => all + group.queue, 0)), 'for capacity');
  tile('First content', latencies(known, data), 'p50 / p95');
  tile('Deployments', `${number(healthy)} of ${number(deployments.length)}`, 'healthy');
  if (!views.chart) {
    views.chart = newChart('');
    $('traffic').append(views.chart.svg);
  }
  draw(views.chart, known);
  write($('peak'), `the last two minutes, at most ${number(Math.max(0, ...known.requests))} requests a second`);
  write($('about'), `version ${data.version}, up ${duration(data.uptime_ms)}${replicasOf(data.replicas)}`);
}

function list(title, kind, lines, open) {
  const items = make('ul', {}, ...lines.map((line) => make('li', {}, line)));
  const details = make('details', open ? { open: '' } : {}, make('summary', {}, title), items);
  return make('div', { class: `notice ${kind}` }, details);
}

function showNotices(data) {
  const found = JSON.stringify([data.draining, data.left_out, data.warnings]);
  if (found === notices) return;
  notices = found;
  const parts = [];
  if (data.draining) {
    parts.push(make('p', { class: 'notice warn' }, 'The gateway is shutting down: it finishes the requests in flight.'));
  }
  if (data.left_out.length) {
    const lines = data.left_out.map((one) => `line ${one.line}, ${one.group || 'no group'} (${one.id}): ${one.reason}`);
    parts.push(list(`${lines.length} of the file's deployments are left out`, 'bad', lines, true));
  }
  if (data.warnings.length) {
    const lines = data.warnings.map((one) => `${one.grade}, line ${one.line}, ${one.path}: ${one.message}`
      + (one.help ? ` (${one.help})` : ''));
    const unsafe = data.warnings.filter((one) => one.grade === 'unsafe').length;
    const count = unsafe ? `, ${unsafe} of them unsafe` : '';
    parts.push(list(`${lines.length} warnings of the configuration${count}`, unsafe ? 'bad' : 'warn', lines, false));
  }
  $('notices').replaceChildren(...parts);
}

const isProblem = (one) => !['healthy', 'slow_start'].includes(one.state) || one.held_ms > 0;

// Returns the words about the replicas that share the limits; none in a gateway alone.
function replicasOf(replicas) {
  if (!replicas) return '';
  if (!replicas.in_touch) return `, no response from Redis for ${duration(replicas.stale_ms)}`;
  return `, ${replicas.live} ${replicas.live === 1 ? 'replica' : 'replicas'}`;
}

// Returns the symbol, the words and the colour of a deployment's state.
function stateOf(one) {
  const [symbol, name, kind] = STATES[one.state] || ['?', one.state, 'off'];
  if (one.state === 'cooling_down') return [symbol, `${name}, ${duration(one.ends_in_ms)} left`, kind];
  if (one.held_ms > 0 && kind === 'good') return ['⏸', `Held by its server, ${duration(one.held_ms)} left`, 'warn'];
  return [symbol, name, kind];
}

function newBar(name) {
  const [title, value, fill, mark] = [make('span', {}, name), make('span'), make('i'), make('b')];
  const bar = make('div', { class: 'bar', role: 'meter', 'aria-label': name, 'aria-valuemin': '0' }, fill, mark);
  return { node: make('div', {}, make('div', { class: 'bar-line' }, title, value), bar), bar, value, fill, mark };
}

// Shows a limit: used, allowed now, and configured where the gateway has learnt a lower one.
function showBar(view, limit, format = number) {
  view.node.hidden = !limit || limit.limit === null;
  if (view.node.hidden) return;
  const { used, limit: allowed, configured, leased } = limit;
  const whole = Math.max(allowed, configured || 0, 1);
  const learnt = configured === allowed ? '' : configured === null ? ' (learnt)' : ` (learnt; configured ${format(configured)})`;
  const lease = leased === undefined ? '' : `, ${format(leased)} of it here`;
  const text = `${format(used)} of ${format(allowed)}${learnt}${lease}`;
  write(view.value, text);
  attribute(view.bar, 'aria-valuemax', String(whole));
  attribute(view.bar, 'aria-valuenow', String(Math.min(used, whole)));
  attribute(view.bar, 'aria-valuetext', text);
  view.fill.style.width = `${Math.min(100, (used / whole) * 100)}%`;
  view.bar.classList.toggle('full', used >= allowed);
  view.mark.hidden = allowed >= whole;
  view.mark.style.left = `${(allowed / whole) * 100}%`;
}

function newFacts(names) {
  const values = names.map(() => make('dd'));
  const node = make('dl', { class: 'facts' }, ...names.flatMap((name, index) => [make('dt', {}, name), values[index]]));
  return { node, values };
}

async function act(action, id, query = '') {
  try {
    const response = await fetch(`status/${action}/${encodeURIComponent(id)}${query}`, {
      method: 'POST', headers: headers(), signal: AbortSignal.timeout(10000),
    });
    const result = await response.json();
    if (!response.ok) throw new Error(result.error.message);
    failed('');
  } catch (error) {
    failed(`${id}: ${error.message}`);
  }
  poll();
}

function newDeployment(id) {
  const view = {
    state: make('p'), name: make('h4', {}, id), model: make('p', { class: 'soft' }), id,
    bars: [newBar('Requests a minute'), newBar('Tokens a minute'), newBar('In parallel')],
    window: make('p', { class: 'soft' }),
    facts: newFacts(['In flight', 'Attempts', 'Errors', 'First content', 'Total']),
    errors: make('ol'), count: make('summary'), shown: '',
  };
  const button = (text, action, query) => {
    const node = make('button', { type: 'button', 'aria-label': `${text} ${id}` }, text);
    node.addEventListener('click', () => act(action, id, query));
    return node;
  };
  view.buttons = {
    cool: button('Cool down', 'cool_down', `?seconds=${COOL_DOWN_SECONDS}`),
    revive: button('Revive', 'revive'),
    drain: button('Drain', 'drain'),
  };
  attribute(view.buttons.cool, 'title', `Avoid this deployment for ${COOL_DOWN_SECONDS} s, then probe it`);
  attribute(view.buttons.revive, 'title', 'End the cooldown or the drain now');
  attribute(view.buttons.drain, 'title', 'Send no further request until it is revived, reloaded or restarted');
  view.actions = make('div', { class: 'actions' }, ...Object.values(view.buttons));
  view.details = make('details', { class: 'errors' }, view.count, view.errors);
  view.node = make('li', { class: 'deployment' },
    make('div', {}, view.name, view.model, view.state),
    make('div', { class: 'bars' }, ...view.bars.map((bar) => bar.node), view.window),
    view.facts.node, view.actions, view.details);
  return view;
}

function showErrors(view, errors) {
  view.details.hidden = !errors.length;
  const found = JSON.stringify(errors);
  if (found === view.shown) return;
  view.shown = found;
  write(view.count, `Last errors (${errors.length})`);
  view.errors.replaceChildren(...errors.map((error) => make('li', {},
    make('span', { class: 'soft' }, `${clock(error.at_ms)} `),
    make('span', { class: 'bad-text' }, `${error.status || 'no response'} ${error.class}`),
    error.message ? `: ${error.message}` : '')));
}

function showDeployment(view, group, one, data) {
  const known = record(`${group.name}\n${one.id}`, data, one.results, one.first_content);
  const [symbol, words, kind] = stateOf(one);
  write(view.state, `${symbol} ${words}`);
  attribute(view.state, 'class', kind);
  write(view.model, one.model);
  const { limits } = one;
  [limits.requests, limits.tokens, limits.parallel].forEach((limit, index) => showBar(view.bars[index], limit));
  write(view.window, limits.window_seconds ? `Requests are counted over ${limits.window_seconds} s.` : '');
  const errors = sum(one.results, ERRORS);
  const values = [
    number(one.in_flight),
    `${number(total(one.results))} (${number(rate(known.requests))}/s)`,
    `${number(errors)} (${number(rate(known.errors))}/s)`,
    latencies(known, data),
    latency(quantile({ last: { buckets: one.duration }, marks: [{ buckets: one.duration }] }, data.bounds_ms, 0.5)),
  ];
  values.forEach((value, index) => write(view.facts.values[index], value));
  view.actions.hidden = !operator;
  view.buttons.cool.disabled = ['cooling_down', 'drained'].includes(one.state);
  view.buttons.revive.disabled = ['healthy', 'slow_start'].includes(one.state);
  view.buttons.drain.disabled = one.state === 'drained';
  showErrors(view, one.errors);
}

function newGroup(group, open) {
  const view = {
    name: make('h3', {}, group.name), health: make('span', { class: 'pill' }), facts: make('span', { class: 'soft' }),
    chart: newChart('spark'), rows: make('ul', { class: 'rows' }), deployments: new Map(), limit: SHOWN,
    more: make('button', { type: 'button', class: 'more' }),
  };
  view.node = make('details', { class: 'card group' },
    make('summary', {}, view.name, view.health, view.facts, view.chart.svg), view.rows, view.more);
  view.node.open = open;
  view.node.addEventListener('toggle', () => views.data && showGroup(view, view.group, views.data));
  view.more.addEventListener('click', () => {
    view.limit += SHOWN;
    showGroup(view, view.group, views.data);
  });
  return view;
}

function matching(group) {
  const text = $('filter').value.trim().toLowerCase();
  const named = group.name.toLowerCase().includes(text);
  return group.deployments.filter((one) => (named || `${one.id} ${one.model}`.toLowerCase().includes(text))
    && (!$('problems').checked || isProblem(one)));
}

function showGroup(view, group, data) {
  view.group = group;
  const known = record(group.name, data, group.results, group.first_content);
  draw(view.chart, known);
  const bad = group.deployments.filter(isProblem).length;
  const all = group.deployments.length;
  write(view.health, bad ? `${all - bad} of ${all} healthy` : `${all} healthy`);
  attribute(view.health, 'class', `pill ${bad === 0 ? 'good' : bad < all ? 'warn' : 'bad'}`);
  write(view.facts, `${number(rate(known.requests))} requests/s, ${number(rate(known.errors))} errors/s, `
    + `${number(group.in_flight)} in flight, ${number(group.queue)} waiting, first content ${latencies(known, data)}`);
  const found = matching(group);
  view.node.hidden = !found.length;
  if (!view.node.open) return;
  // Problems first, where not all are shown.
  if (found.length > view.limit) found.sort((a, b) => isProblem(b) - isProblem(a));
  const shown = found.slice(0, view.limit);
  place(view.rows, view.deployments, shown, (one) => one.id, (one) => newDeployment(one.id),
    (row, one) => showDeployment(row, group, one, data));
  view.more.hidden = found.length <= view.limit;
  write(view.more, `Show ${Math.min(SHOWN, found.length - view.limit)} more of ${found.length - view.limit}`);
}

// Makes the children of `parent` those of `items`, in their order, and keeps what is there.
function place(parent, known, items, keyOf, create, show) {
  const used = new Set();
  let before = null;
  for (const item of items) {
    const name = keyOf(item);
    if (!known.has(name)) known.set(name, create(item));
    const view = known.get(name);
    used.add(name);
    const next = before ? before.nextSibling : parent.firstChild;
    if (next !== view.node) parent.insertBefore(view.node, next);
    before = view.node;
    show(view, item);
  }
  for (const [name, view] of known) {
    if (!used.has(name)) {
      view.node.remove();
      known.delete(name);
    }
  }
}

function showGroups(data) {
  const all = data.groups.reduce((count, group) => count + group.deployments.length, 0);
  place($('group-list'), views.groups, data.groups, (group) => group.name,
    (group) => newGroup(group, all <= ALL_OPEN), (view, group) => showGroup(view, group, data));
  $('nothing').hidden = [...views.groups.values()].some((view) => !view.node.hidden);
}

function newKey(name) {
  const view = { bars: ['Requests a minute', 'Tokens a minute', 'In parallel', 'Budget'].map(newBar),
    note: make('p', { class: 'soft' }) };
  view.node = make('li', { class: 'deployment' }, make('h4', {}, name),
    make('div', { class: 'bars' }, ...view.bars.map((bar) => bar.node)), view.note);
  return view;
}

function showKeys(data) {
  $('keys').hidden = !data.keys.length;
  place($('key-list'), views.keys, data.keys, (one) => one.name, (one) => newKey(one.name), (view, one) => {
    [one.requests, one.tokens, one.parallel].forEach((limit, index) => showBar(view.bars[index], limit));
    const { budget } = one;
    showBar(view.bars[3], budget && { used: budget.spent, limit: budget.max, configured: budget.max }, dollars);
    const renewed = budget && budget.renewed_in_ms !== null ? `The budget is renewed in ${duration(budget.renewed_in_ms)}. ` : '';
    write(view.note, renewed + (one.expired ? 'Expired' : ''));
  });
}

// Reads the changes of state to users of screen readers.
function announce(data) {
  const changes = [];
  for (const group of data.groups) {
    for (const one of group.deployments) {
      const name = `${group.name}\n${one.id}`;
      const before = announced.get(name);
      if (before && before !== one.state) changes.push(`${one.id}: ${(STATES[one.state] || [0, one.state])[1]}`);
      announced.set(name, one.state);
    }
  }
  if (changes.length) write($('announcement'), changes.slice(0, 5).join('. '));
}

function show(data) {
  views.data = data;
  operator = data.may_operate;
  overview(data);
  showNotices(data);
  showGroups(data);
  showKeys(data);
  announce(data);
  for (const [scope, known] of scopes) {
    if (data.now_ms - known.used > 300000) scopes.delete(scope);
  }
  $('status').hidden = false;
  $('sign-in').hidden = true;
  $('sign-out').hidden = !key;
}

function connection(text, kind) {
  write($('connection'), text);
  attribute($('connection'), 'class', `pill ${kind}`);
}

function failed(text) {
  write($('failure'), text);
  $('failure').hidden = !text;
}

function signIn(message) {
  sessionStorage.removeItem('tollgate-key');
  const again = key;
  key = '';
  views.data = null;
  $('status').hidden = true;
  $('sign-out').hidden = true;
  $('sign-in').hidden = false;
  write($('sign-in-error'), again ? message : '');
  connection('not signed in', 'off');
  $('key').value = '';
  $('key').focus();
}

const headers = () => (key ? { authorization: `Bearer ${key}` } : {});

async function poll() {
  if (polling) return;
  polling = true;
  clearTimeout(timer);
  const begun = performance.now();
  let again = 1000;
  try {
    const response = await fetch('status/data', { headers: headers(), cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (response.status === 401 || response.status === 403) {
      signIn('This key may not read the status any more.');
      again = 0;
    } else if (!response.ok) {
      throw new Error(`status ${response.status}`);
    } else {
      show(await response.json());
      if (key) sessionStorage.setItem('tollgate-key', key);
      connection('live', 'good');
    }
  } catch (error) {
    connection('no connection, trying again', 'bad');
  }
  polling = false;
  // A page of very many deployments is not polled for more than a fifth of the time.
  const taken = performance.now() - begun;
  if (again && !document.hidden) timer = setTimeout(poll, Math.max(again - taken, 4 * taken));
}

// Polls if the key has access, else asks for one. A 401 of the data would be an error in the console.
async function enter() {
  try {
    const response = await fetch('status/access', { headers: headers(), cache: 'no-store', signal: AbortSignal.timeout(10000) });
    const { access } = await response.json();
    if (access === 'none') signIn('This key may not read the status.');
    else poll();
  } catch (error) {
    connection('no connection, trying again', 'bad');
    timer = setTimeout(enter, 1000);
  }
}

$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  key = $('key').value.trim();
  enter();
});
$('sign-out').addEventListener('click', () => {
  clearTimeout(timer);
  key = '';
  signIn('');
});
for (const id of ['filter', 'problems']) {
  $(id).addEventListener('input', () => views.data && showGroups(views.data));
}
document.addEventListener('visibilitychange', () => document.hidden || !views.data || poll());
enter();
