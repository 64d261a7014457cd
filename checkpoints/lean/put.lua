-- Store what tasks wrote and the checkpoint that follows, or nothing where somebody else holds the lease: returns 0.
-- Arguments: the lease's value; time to live in ms, and whether it runs while a human is asked; how many checkpoints
-- stay (empty: all); namespace; of the checkpoint (empty: none) its id, its parent, whether it begins something new, its
-- root's id, depth, references, the checkpoint itself; how many values, each with its reference; then for each task
-- the checkpoint it ran on, its id, whether it asks a human, what it wrote.
local lease, ttl, ends, most, ns, id, parent, begins, root, depth = unpack(ARGV, 1, 10)
if lease ~= '' and redis.call('GET', KEYS[3]) ~= lease then
    return 0
end

local function promote(of)
    if redis.call('ZREM', order, place('s', ns, of)) == 1 then
        redis.call('ZADD', order, 0, place('m', ns, of))
    end
end

-- What a task wrote first stays, place by place; a special place (below 0) has what was written last.
local function merged(old, new)
    local at, known, frames = 1, {}, {}
    for _, text in ipairs({old, new}) do
        at = 1
        while at <= #text do
            local size, index = struct.unpack('>I4h', text, at)
            local frame = string.sub(text, at, at + 5 + size)
            if not known[index] then
                frames[#frames + 1] = frame
                known[index] = #frames
            elseif index < 0 then
                frames[known[index]] = frame
            end
            at = at + 6 + size
        end
    end
    return table.concat(frames)
end

local function write(of, task, asks, frames)
    if not has(ns, of) and newest(ns) > of then
        return -- it was dropped meanwhile
    end
    local name = place('w', ns, of) .. '\0' .. task
    local old = redis.call('HGET', data, name)
    redis.call('HSET', data, name, old and merged(old, frames) or frames)
    redis.call('ZADD', order, 0, name)
    if asks ~= '' then
        promote(of)
        if ns == '' and newest(ns) <= of then
            redis.call('HSET', data, 'i', of)
        end
    end
end

-- The farthest ancestor that this checkpoint's channels are rebuilt from.
local function seed_of(steps)
    if steps == 0 then
        return ''
    end
    local head = parent ~= '' and head_of(ns, parent)
    if not head then
        return id
    end
    if head[3] + 1 == steps and head[3] > 0 then
        return head[4]
    end
    local seed = parent
    for _ = 2, steps do
        if head[1] == '' then
            break
        end
        local above = head_of(ns, head[1])
        if not above then
            break
        end
        seed, head = head[1], above
    end
    return seed
end

local function put(record, values)
    local old, refs, sets, fresh, names, used = head_of(ns, id), cmsgpack.unpack(ARGV[11]), {}, {}, {}, {}
    for at = 1, #values, 2 do
        fresh[values[at]] = true
        sets[#sets + 1] = 'b\0' .. values[at]
        sets[#sets + 1] = values[at + 1]
    end
    for at, ref in ipairs(refs) do
        names[at] = 'r\0' .. ref
    end
    names[#refs + 1] = 'd\0' .. ns
    local uses = hmget(names)
    for at, ref in ipairs(refs) do
        if uses[at] or fresh[ref] then
            used[#used + 1] = ref
            sets[#sets + 1] = names[at]
            sets[#sets + 1] = (uses[at] or 0) + 1
        end
    end
    local steps = tonumber(depth)
    sets[#sets + 1] = place('h', ns, id)
    sets[#sets + 1] = cmsgpack.pack({parent, used, steps, seed_of(steps)})
    sets[#sets + 1] = place('c', ns, id)
    sets[#sets + 1] = record
    if steps > 0 then
        sets[#sets + 1] = 'd\0' .. ns
        sets[#sets + 1] = 1
    end
    hset(sets)
    if old then
        release(old[2])
    end
    if not old or not redis.call('ZSCORE', order, place('m', ns, id)) then
        redis.call('ZADD', order, 0, place('s', ns, id))
    end
    if root ~= '' then
        redis.call('ZADD', order, 0, 'x\0' .. root .. '\0' .. ns .. '\0' .. id)
    end
    return steps > 0 or uses[#names]
end

local many = tonumber(ARGV[13])
for at = 14 + 2 * many, #ARGV, 4 do
    write(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
end
if id ~= '' then
    local values = {}
    for at = 14, 13 + 2 * many do
        values[#values + 1] = ARGV[at]
    end
    if begins ~= '' and parent ~= '' then
        promote(parent)
    end
    local by_seed = put(ARGV[12], values)
    if ns == '' then
        redis.call('HDEL', data, 'i')
    end
    if most ~= '' then
        retain(ns, tonumber(most), true, by_seed)
    end
end
touch(ttl, ends)
return 1
