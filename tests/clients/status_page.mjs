// The status page in a real browser: `status_page.mjs TOLLGATE CHROMIUM DIRECTORY`.
//
// Starts upstreams that follow a script, the gateway in front of them, and Chromium, which signs in, watches a deployment
// cool down and recover, and operates another by keyboard and at the size of a phone. The page may log no error, call no
// other host, and show no key and no words of a prompt. Two screenshots are written to the directory.

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const [, , binary, browserPath, directory] = process.argv;
const MASTER = 'sk-master-canary-4711';
const READER = 'sk-reader-canary-4712';
const CLIENT = 'sk-client-canary-4713';
const UPSTREAM_KEY = 'sk-upstream-canary-4714';
const PROMPT = 'zebrafinch-prompt-canary';
const ANSWER = 'quetzal-answer-canary';
const SECRETS = [MASTER, READER, CLIENT, UPSTREAM_KEY, PROMPT, ANSWER];

function check(what, holds) {
  if (!holds) throw new Error(`not ok - ${what}`);
  console.log(`ok - ${what}`);
}

// Milliseconds for what the page shows at last: a browser that has just been installed starts slowly on a busy machine.
const PATIENCE = 120000;

// Waits for a condition, which the page's own polling brings about.
async function until(what, condition) {
  const end = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resume) => setTimeout(resume, 50));
  }
  console.log(`ok - ${what}`);
}

// Starts an upstream. While `failing` is set it refuses each call, and repeats the key and the prompt.
async function upstream(delay) {
  const script = { failing: false };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const reply = (status, body) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      };
      if (script.failing) {
        return reply(500, { error: { message: `The engine is overloaded: ${UPSTREAM_KEY} asked ${PROMPT}`, type: 'server_error' } });
      }
      setTimeout(() => reply(200, {
        id: 'c', object: 'chat.completion', created: 1, model: 'm',
        choices: [{ index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
      }), delay * (0.5 + Math.random()));
    });
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return { script, base: `http://127.0.0.1:${server.address().port}/v1`, close: () => server.close(() => {}) && server.closeAllConnections() };
}

function configuration(bases) {
  const entry = (group, id, base, more = '') => `  - model_name: ${group}
    litellm_params: {model: openai/${group}, api_base: "${base}", api_key: ${UPSTREAM_KEY}${more}}
    model_info: {id: ${id}}
`;
  return `model_list:
${entry('gpt-4o', 'sweden-central', bases[0], ', rpm: 6000, tpm: 900000, max_parallel_requests: 40')}\
${entry('gpt-4o', 'east-us', bases[1], ', rpm: 3000, tpm: 450000')}\
${entry('gpt-4o', 'west-europe', bases[2], ', rpm: 3000, tpm: 450000')}\
${entry('gpt-4o-mini', 'mini-east-us', bases[1], ', rpm: 9000')}\
${entry('gpt-4o-mini', 'mini-west-europe', bases[2], ', rpm: 9000')}\
${entry('o3', 'o3-east-us', bases[1], ', rpm: 600')}\
router_settings: {num_retries: 2, cooldown_time: 3, allowed_fails: 3}
litellm_settings: {request_timeout: 30}
general_settings:
  master_key: ${MASTER}
  status_key: ${READER}
  keys:
    - {name: batch-jobs, key: ${CLIENT}, models: [gpt-4o-mini], rpm_limit: 9000, max_budget: 5, budget_duration: 1d}
`;
}

async function startGateway(bases) {
  const path = `${directory}/status_page.yaml`;
  writeFileSync(path, configuration(bases));
  const child = spawn(binary, ['--config', path, '--host', '127.0.0.1', '--port', '0'], { env: { PATH: process.env.PATH } });
  let said = '';
  const base = await new Promise((found, fail) => {
    const listen = (data) => {
      said += data;
      const address = said.match(/http:\/\/127\.0\.0\.1:[1-9]\d*/);
      if (address) found(address[0]);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('exit', () => fail(new Error(`the gateway ended:\n${said}`)));
  });
  return { child, base };
}

// Sends chats until it is stopped.
function traffic(base) {
  const load = { on: true };
  const send = async (key, model) => {
    const body = JSON.stringify({ model, messages: [{ role: 'user', content: PROMPT }] });
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    await fetch(`${base}/v1/chat/completions`, { method: 'POST', headers, body }).then((r) => r.text(), () => {});
  };
  const client = async (key, model, pause) => {
    while (load.on) {
      await send(key, model);
      await new Promise((resume) => setTimeout(resume, pause * (0.4 + 1.2 * Math.random())));
    }
  };
  for (let n = 0; n < 6; n += 1) client(MASTER, 'gpt-4o', 120);
  for (let n = 0; n < 2; n += 1) client(CLIENT, 'gpt-4o-mini', 200);
  client(MASTER, 'o3', 250);
  return load;
}

// Opens a page that records all that it must not do.
async function open(browser, base, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('request', (request) => request.url().startsWith(`${base}/`) || faults.push(`request to ${request.url()}`));
  page.on('requestfailed', (request) => {
    // A poll that the end of the page cuts off is not a fault.
    if (request.failure().errorText !== 'net::ERR_ABORTED') faults.push(`${request.url()}: ${request.failure().errorText}`);
  });
  await page.goto(`${base}/`);
  return { context, page, faults };
}

const row = (page, id) => page.locator('li.deployment').filter({ has: page.getByRole('heading', { name: id, exact: true }) });
const shows = (page, id, text) => until(`${id} shows ${text}`, async () => (await row(page, id).innerText()).includes(text));

async function signIn(page, key) {
  await page.locator('#key').waitFor();
  check('the key has the focus', await page.locator('#key').evaluate((node) => node === document.activeElement));
  await page.keyboard.type(key);
  await page.keyboard.press('Enter');
}

// Moves the focus by the tabulator key until it is on a button.
async function tabTo(page, name) {
  for (let presses = 0; presses < 200; presses += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.getAttribute('aria-label') === wanted, name)) return;
  }
  throw new Error(`no way by keyboard to ${name}`);
}

async function noSecrets(page, keys) {
  const text = await page.evaluate(() => document.documentElement.outerHTML);
  const data = await page.evaluate(async (key) => {
    const response = await fetch('status/data', { headers: { authorization: `Bearer ${key}` } });
    return response.text();
  }, keys);
  for (const secret of SECRETS) check('no secret in page and data', !text.includes(secret) && !data.includes(secret));
}

async function watch(browser, base, bad) {
  const { context, page, faults } = await open(browser, base, { viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
  await signIn(page, 'sk-wrong');
  await until('a wrong key is refused', async () => (await page.locator('#sign-in-error').innerText()).includes('may not read'));
  await signIn(page, CLIENT);
  await until('the key of a client is refused', async () => (await page.locator('#sign-in-error').innerText()).includes('may not read'));
  await signIn(page, MASTER);
  await page.locator('#status').waitFor();
  await shows(page, 'east-us', 'Healthy');
  await shows(page, 'batch-jobs', 'of $5.00');
  await shows(page, 'batch-jobs', 'The budget is renewed in');
  const seconds = async () => (await page.locator('#traffic path.requests').getAttribute('d')).split('L').length;
  await until('the chart has a history', async () => await seconds() > 45);
  bad.failing = true;
  await shows(page, 'east-us', 'Cooling down');
  await shows(page, 'east-us', 'Last errors');
  await row(page, 'east-us').getByText('Last errors').click();
  await shows(page, 'east-us', 'The engine is overloaded');
  await until('a screen reader is told', async () => (await page.locator('#announcement').innerText()).includes('east-us: Cooling down'));
  await until('the chart shows errors', async () => (await page.locator('#tiles').innerText()).match(/Errors a second\s+[1-9]/));
  await page.screenshot({ path: `${directory}/status-light.png` });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: `${directory}/status-dark.png` });
  await noSecrets(page, MASTER);
  bad.failing = false;
  await shows(page, 'east-us', 'Slow start');
  await page.reload();
  await shows(page, 'east-us', 'Healthy');
  check('the key stays in the tab', await page.locator('#sign-in').isHidden());
  check(`no error and no other host: ${faults}`, faults.length === 0);
  await context.close();
}

async function operate(browser, base) {
  const { context, page, faults } = await open(browser, base, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  await signIn(page, MASTER);
  await page.locator('#status').waitFor();
  await shows(page, 'west-europe', 'Healthy');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check('a phone shows the whole width', wide === 0);
  for (const [button, state] of [['Drain', 'Drained'], ['Revive', 'Healthy'], ['Cool down', 'Cooling down'], ['Revive', 'Slow start']]) {
    await tabTo(page, `${button} mini-west-europe`);
    await page.keyboard.press('Enter');
    await shows(page, 'mini-west-europe', state);
    if (state === 'Drained') {
      await shows(page, 'mini-west-europe', 'In flight\n0');
      const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${base}/v1/chat/completions`, {
        method: 'POST', headers: { authorization: `Bearer ${MASTER}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'mini-west-europe', messages: [{ role: 'user', content: PROMPT }] }),
      })));
      check('a drained deployment receives no call', answers.every((answer) => answer.status === 429));
    }
  }
  check(`no error and no other host: ${faults}`, faults.length === 0);
  await context.close();
}

async function read(browser, base) {
  const { context, page, faults } = await open(browser, base, {});
  await signIn(page, READER);
  await page.locator('#status').waitFor();
  await shows(page, 'east-us', 'Healthy');
  check('the read-only key operates nothing', await page.getByRole('button', { name: 'Drain east-us' }).isHidden());
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.locator('#sign-in').waitFor();
  check('no key is left', await page.evaluate(() => sessionStorage.length === 0));
  check(`no error and no other host: ${faults}`, faults.length === 0);
  await context.close();
}

const upstreams = await Promise.all([upstream(60), upstream(90), upstream(40)]);
const gateway = await startGateway(upstreams.map((one) => one.base));
const load = traffic(gateway.base);
const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
try {
  await watch(browser, gateway.base, upstreams[1].script);
  await operate(browser, gateway.base);
  await read(browser, gateway.base);
  for (const name of ['status-light.png', 'status-dark.png']) {
    const size = readFileSync(`${directory}/${name}`).length;
    check(`${name} has less than 150 kB: ${size}`, size < 150000);
  }
} finally {
  load.on = false;
  await browser.close();
  gateway.child.removeAllListeners('exit');
  gateway.child.kill();
  upstreams.forEach((one) => one.close());
}
process.exit(0);
