-- The rules of domain/breakers.py, carried out on one hash in one step: change both. A test drives both alike.
--
-- KEYS[1] circuit_breaker:{name}
-- ARGV    operation, now (empty: this server's clock), generation known to the caller, jitter,
--         successes to count, their generation, rules, then what the operation takes
-- Returns now, answer, wait, generation, changed, and the whole hash unless the caller knows it.

local key, operation, known, jitter = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local TEXTS = { state = '', probe = '', error = '', window = '', history = '' }
local written, any = {}, false

-- The record: fields are read when they are asked for, and written at the end.
local record = setmetatable({}, { __index = function(fields, name)
  local value = redis.call('HGET', key, name)
  if TEXTS[name] then value = value or TEXTS[name] else value = tonumber(value or 0) end
  rawset(fields, name, value)
  return value
end })

local function set(fields)
  for name, value in pairs(fields) do
    record[name], written[name], any = value, value, true
  end
end

local function write()
  local flat = {}
  for name, value in pairs(written) do
    flat[#flat + 1] = name
    flat[#flat + 1] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  if any then redis.call('HSET', key, unpack(flat)) end
end

local rules
local function rule(name)
  if not rules then
    rules = {}
    for each, value in string.gmatch(ARGV[7], '(%S+)=(%S+)') do rules[each] = tonumber(value) end
  end
  return rules[name]
end

local function change(state, reason, by, fields)
  local history = record.history == '' and {} or cjson.decode(record.history)
  history[#history + 1] = { now, record.state, state, reason, by }
  if #history > tonumber(rule('history')) then table.remove(history, 1) end
  local ended = { ['until'] = 0, probe = '', probe_until = 0, successes = 0 }
  if state == 'closed' or state == 'disabled' then ended.opened_at = 0 end
  set(ended)
  set(fields)
  set({ state = state, generation = record.generation + 1, changed_at = now, history = cjson.encode(history) })
end

local function open(reason)
  local openings = record.openings + 1
  local pause = math.min(rule('open_ms') * 2 ^ math.min(openings - 1, 30), rule('open_max_ms'))
  local lasts = now + pause + math.floor(pause * jitter / 1000)
  local refused = record.state == 'closed' and 0 or record.refused
  change('open', reason, '', { openings = openings, opened_at = now, ['until'] = lasts, refused = refused })
end

local function settle()
  local ends = record['until']
  if ends == 0 or now < ends then return end
  if record.state == 'disabled' then
    change('closed', "the order's time is over", '', {})
  else
    change('half_open', record.state == 'open' and 'the pause is over' or "the order's time is over", '', {})
  end
end

local function count(calls, failed, slow)
  local index, kept = math.floor(now / rule('bucket_ms')), {}
  local sums = { calls, failed, slow }
  local last = { calls, failed, slow }
  for at, c, f, s in string.gmatch(record.window, '(%-?%d+):(%d+):(%d+):(%d+)') do
    local age = index - tonumber(at)
    if age >= 0 and age < rule('buckets') then
      sums = { sums[1] + c, sums[2] + f, sums[3] + s }
      if age == 0 then
        last = { last[1] + c, last[2] + f, last[3] + s }
      else
        kept[#kept + 1] = at .. ':' .. c .. ':' .. f .. ':' .. s
      end
    end
  end
  kept[#kept + 1] = string.format('%d:%d:%d:%d', index, last[1], last[2], last[3])
  set({ window = table.concat(kept, ' ') })
  if record.state ~= 'closed' or sums[1] < rule('minimum_calls') then return end
  if sums[2] >= rule('failure_rate') * sums[1] then
    open(string.format('%d of %d calls failed', sums[2], sums[1]))
  elseif sums[3] >= rule('slow_rate') * sums[1] then
    open(string.format('%d of %d calls were slow', sums[3], sums[1]))
  end
end

local function credit()
  local calls = tonumber(ARGV[5])
  local counts = record.state == 'closed' or record.state == 'disabled'
  if calls > 0 and tonumber(ARGV[6]) == record.generation and counts then count(calls, 0, 0) end
end

local answer, wait = 'done', -1

local function acquire(token, lease)
  if record.state == 'closed' or record.state == 'disabled' then
    answer = 'pass'
  elseif record.state == 'half_open' and now >= record.probe_until then
    set({ probe = token, probe_until = now + lease })
    answer = 'probe'
  else
    local ends = record.state == 'half_open' and record.probe_until or record['until']
    if ends > 0 then wait = ends - now end
    set({ refused = record.refused + 1 })
    answer = 'refused'
  end
end

local function report(token, generation, outcome, slow, failure)
  local half_open = record.state == 'half_open'
  if generation ~= record.generation or (half_open and token ~= record.probe) then return end
  if outcome == 'dropped' then return set({ probe = '', probe_until = 0 }) end
  local failed = outcome == 'failed' and 1 or 0
  if failed == 1 then set({ error = failure, error_at = now }) end
  if not half_open then return count(1, failed, slow) end
  if failed == 1 or slow == 1 then return open(failed == 1 and 'the probe failed' or 'the probe was slow') end
  if record.successes + 1 < rule('probes') then
    return set({ successes = record.successes + 1, probe = '', probe_until = 0 })
  end
  change('closed', 'the probes succeeded', '', { openings = 0, window = '' })
end

local function order(state, lasting, by, reason)
  local fields = { ordered_at = now, ['until'] = lasting > 0 and now + lasting or 0, openings = 0 }
  if state == 'closed' then
    fields.window, fields['until'] = '', 0
  elseif state == 'forced_open' then
    fields.opened_at, fields.refused = now, record.state == 'closed' and 0 or record.refused
  end
  change(state, reason, by, fields)
end

local STATES = { closed = true, open = true, half_open = true, forced_open = true, disabled = true }

local function merge()
  local mine = {}
  for i = 8, #ARGV, 2 do
    mine[ARGV[i]] = TEXTS[ARGV[i]] and ARGV[i + 1] or tonumber(ARGV[i + 1])
  end
  if not STATES[record.state] then return set(mine) end
  local wins = mine.ordered_at > record.ordered_at
    or (mine.ordered_at == record.ordered_at and mine.changed_at > record.changed_at)
  if not wins and mine.generation <= record.generation then return end
  local generation = math.max(mine.generation, record.generation) + 1
  if wins then set(mine) end
  set({ generation = generation })
end

local state = redis.pcall('HGET', key, 'state')
if type(state) == 'table' then return { now, 'foreign', -1, 0, 0, false } end  -- an error: the key is no hash
if not STATES[state] and operation ~= 'merge' then return { now, 'missing', -1, 0, 0, false } end
local before = record.generation
if operation == 'merge' then
  merge()
else
  settle()
  credit()
  if operation == 'acquire' then acquire(ARGV[8], tonumber(ARGV[9])) end
  if operation == 'report' then report(ARGV[8], tonumber(ARGV[9]), ARGV[10], tonumber(ARGV[11]), ARGV[12]) end
  if operation == 'order' then order(ARGV[8], tonumber(ARGV[9]), ARGV[10], ARGV[11]) end
end
write()
local short = record.generation == known and (answer == 'pass' or answer == 'refused')
local changed = record.generation ~= before and 1 or 0
return { now, answer, wait, record.generation, changed, not short and redis.call('HGETALL', key) }
