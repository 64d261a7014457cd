-- Store what tasks wrote and the checkpoint that follows, or nothing where somebody else holds the lease: returns 0; or
-- nothing where a value that the checkpoint needs is gone, lost with a Redis or with the thread's life: returns 2.
-- Arguments: the lease's value; time to live in ms, and whether it runs while a human is asked; how many checkpoints
-- stay (empty: all); namespace; and one text of texts, each behind its length: of the checkpoint (empty: none) its id,
-- its parent, whether it begins something new, its root's id, depth, the checkpoint itself; how many references, and
-- they; how many of these, the first ones, must have a value here; how many new values, each behind its reference; then
-- for each task the checkpoint it ran on, its id, whether it asks a human, what it wrote. One argument, because each
-- costs more than what is done with it.
local lease, ttl, ends, most, ns, text = unpack(ARGV)
if lease ~= '' and redis.call('GET', KEYS[3]) ~= lease then
    return 0
end

local at = 1

local function following()
    local part
    part, at = struct.unpack('>I4c0', text, at)
    return part
end

local function list(size)
    local parts = {}
    for nth = 1, size do
        parts[nth] = following()
    end
    return parts
end

local id, parent, begins, root, depth, record = unpack(list(6))
local refs = list(tonumber(following()))
local needed = tonumber(following())
local values = list(2 * tonumber(following()))
depth = tonumber(depth)

local names = {}
for nth, ref in ipairs(refs) do
    names[nth] = 'r\0' .. ref
end
names[#refs + 1] = 'd\0' .. ns
local uses = id == '' and {} or hmget(names)
for nth = 1, needed do
    if not uses[nth] then
        return 2
    end
end

-- Nothing that a Redis without memory lets pass comes first: it would let pass the rest of the script as well.
local function promote(of)
    if redis.call('ZSCORE', order, place('s', ns, of)) then
        redis.call('ZADD', order, 0, place('m', ns, of))
        redis.call('ZREM', order, place('s', ns, of))
    end
end

-- What a task wrote first stays, place by place; a special place (below 0) has what was written last.
local function merged(old, new)
    local known, frames = {}, {}
    for _, each in ipairs({old, new}) do
        local from = 1
        while from <= #each do
            local size, index = struct.unpack('>I4i4', each, from)
            local frame = string.sub(each, from, from + 7 + size)
            if not known[index] then
                frames[#frames + 1] = frame
                known[index] = #frames
            elseif index < 0 then
                frames[known[index]] = frame
            end
            from = from + 8 + size
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

local function put()
    local old, sets, fresh, used = head_of(ns, id), {}, {}, {}
    for nth = 1, #values, 2 do
        fresh[values[nth]] = true
        sets[#sets + 1] = 'b\0' .. values[nth]
        sets[#sets + 1] = values[nth + 1]
    end
    for nth, ref in ipairs(refs) do
        if uses[nth] or fresh[ref] then
            used[#used + 1] = ref
            sets[#sets + 1] = names[nth]
            sets[#sets + 1] = (uses[nth] or 0) + 1
        end
    end
    sets[#sets + 1] = place('h', ns, id)
    sets[#sets + 1] = cmsgpack.pack({parent, used, depth, seed_of(depth)})
    sets[#sets + 1] = place('c', ns, id)
    sets[#sets + 1] = record
    if depth > 0 then
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
    return depth > 0 or uses[#names]
end

while at <= #text do
    write(unpack(list(4)))
end
if id ~= '' then
    if begins ~= '' and parent ~= '' then
        promote(parent)
    end
    local by_seed = put()
    if ns == '' then
        redis.call('HDEL', data, 'i')
    end
    if most ~= '' then
        retain(ns, tonumber(most), true, by_seed)
    end
end
touch(ttl, ends)
return 1
