-- Finds or creates for each item, in one step for the whole request.
-- KEYS: the counter of service ids, then the customer of each item, a hash:
--   active:<service type>           service id
--   <service>                       event
--   <service>:last                  last id given to a state or task
--   <service>:state:<state type>    state id
--   <service>:task:<task type>      task id
--   <service>:<id>                  event
--   <service>:<id>:in               state that the task is associated with
-- ARGV: for each item the types of service, state and task, then their events; a task's event
-- is empty where the item has none.
-- Answers six numbers for each item: an id and whether it was created, three times.
local answer = {}
for i = 2, #KEYS do
  local customer, at = KEYS[i], 6 * (i - 2)
  local new = {}

  local active = 'active:' .. ARGV[at + 1]
  local service, created = redis.call('HGET', customer, active), 0
  if not service then
    service, created = redis.call('INCR', KEYS[1]), 1
    new = {active, service, service, ARGV[at + 4]}
  end
  local within = service .. ':'
  local stateField = within .. 'state:' .. ARGV[at + 2]
  local taskField = within .. 'task:' .. ARGV[at + 3]
  local lastField = within .. 'last'

  local state, task, last = false, false, 0
  if created == 0 then
    state, task, last = unpack(redis.call('HMGET', customer, stateField, taskField, lastField))
  end
  local stateCreated, taskCreated = 0, 0
  if not state then
    last, stateCreated = last + 1, 1
    state = tostring(last) -- once, since each use of a number would format it
    local n = #new
    new[n + 1], new[n + 2] = stateField, state
    new[n + 3], new[n + 4] = within .. state, ARGV[at + 5]
  end
  if ARGV[at + 6] == '' then
    task = 0
  elseif not task then
    last, taskCreated = last + 1, 1
    task = tostring(last)
    local n = #new
    new[n + 1], new[n + 2] = taskField, task
    new[n + 3], new[n + 4] = within .. task, ARGV[at + 6]
    new[n + 5], new[n + 6] = within .. task .. ':in', state
  end

  if #new > 0 then
    local n = #new
    new[n + 1], new[n + 2] = lastField, last
    redis.call('HSET', customer, unpack(new))
  end
  local n = #answer
  answer[n + 1], answer[n + 2] = tonumber(service), created
  answer[n + 3], answer[n + 4] = tonumber(state), stateCreated
  answer[n + 5], answer[n + 6] = tonumber(task), taskCreated
end
return answer
