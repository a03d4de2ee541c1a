// What an agent's desktop does in JavaScript: it reads what is open for a customer, takes what was
// started last, and reads its states. Run as: node client.js BASE CUSTOMER SERVICE_ID STATE_ID,...
'use strict';
const assert = require('node:assert');

const [base, customer, serviceID, stateIDs] = process.argv.slice(2);

async function read(path) {
  const response = await fetch(base + path);
  assert.strictEqual(response.status, 200, path);
  assert.match(response.headers.get('content-type'), /^application\/json/);
  const body = await response.json();
  assert.ok(Array.isArray(body), path + ': an array, in nothing else');
  for (let i = 1; i < body.length; i++) {
    assert.ok(body[i - 1].started.timestamp <= body[i].started.timestamp, path + ': oldest first');
  }
  return body;
}

async function main() {
  const services = await read(`/customers/${encodeURIComponent(customer)}/services/active?extensions=StoryService`);
  assert.strictEqual(services.length, 2);
  const last = services.at(-1);
  assert.ok(Number.isSafeInteger(last.service_id));
  assert.strictEqual(String(last.service_id), serviceID);
  assert.strictEqual(last.customer_id, customer);
  assert.deepStrictEqual(last.StoryService, { title: 'Renew a card', steps: [1, 2.5] });
  assert.strictEqual(last.Other, undefined, 'an extension that was not asked for');

  const states = await read(`/services/${last.service_id}/states?extensions=StoryState`);
  assert.strictEqual(states.map((state) => state.state_id).join(), stateIDs);
  for (const state of states) {
    assert.strictEqual(state.service_id, last.service_id);
    assert.deepStrictEqual(state.StoryState, { title: state.state_type });
  }
  console.log(`${services.length} services, ${states.length} states`);
}

main().catch((fault) => {
  console.error(fault);
  process.exit(1);
});
