-- Store steps, all or nothing: what tasks wrote, and the checkpoint that follows. Returns 1; 0 where somebody else holds
-- the lease; 2 where a value that a checkpoint needs is gone, lost with a Redis or with the thread's life.
-- Arguments: the lease's value; time to live in ms, and whether it runs while a human is asked; how many checkpoints
-- stay (empty: all); namespace; and the steps in MessagePack, because each argument costs more than what is done with it.
-- A step is a list: the checkpoint's id (empty: none follows), its parent's, whether it begins something new, its root's
-- id, depth, the checkpoint itself, its references; how many of these, the first ones, must have a value here; the new
-- values, each behind its reference; the checkpoint that the tasks ran on, and of each task its id, whether it asks a
-- human, what it wrote.
local lease, ttl, ends, most, ns, text = unpack(ARGV)
if lease ~= '' and redis.call('GET', KEYS[3]) ~= lease then
    return 0
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

local function promote(of)
    if redis.call('ZSCORE', order, place('s', ns, of)) then
        redis.call('ZADD', order, 0, place('m', ns, of))
        redis.call('ZREM', order, place('s', ns, of))
    end
end

-- The farthest ancestor that a checkpoint's channels are rebuilt from.
local function seed_of(id, parent, steps)
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

-- The parts of the hash that tell what there is already: of the references, of the checkpoint, of what its tasks wrote.
local function names_of(step)
    local id, _, _, _, _, _, refs, _, _, of, tasks = unpack(step)
    local names = {}
    for nth, ref in ipairs(refs) do
        names[nth] = 'r\0' .. ref
    end
    names[#names + 1] = 'd\0' .. ns
    names[#names + 1] = 'i'
    names[#names + 1] = place('h', ns, id)
    names[#names + 1] = place('h', ns, of)
    for _, task in ipairs(tasks) do
        names[#names + 1] = place('w', ns, of) .. '\0' .. task[1]
    end
    return names
end

local function store(step, names, known)
    local id, parent, begins, root, depth, record, refs, _, values, of, tasks = unpack(step)
    local sets, members = {}, {}
    local function set(name, value)
        sets[#sets + 1] = name
        sets[#sets + 1] = value
    end
    local function add(member)
        members[#members + 1] = 0
        members[#members + 1] = member
    end

    local at = #refs
    local by_seed, waits, old, ran_on = known[at + 1] or depth > 0, known[at + 2], known[at + 3], known[at + 4]
    local asks, latest = false, {}
    if ran_on or newest(ns) <= of then -- else what they ran on was dropped meanwhile
        for nth, task in ipairs(tasks) do
            local name = names[at + 4 + nth]
            local wrote = latest[name] or known[at + 4 + nth]
            latest[name] = wrote and merged(wrote, task[3]) or task[3]
            set(name, latest[name])
            add(name)
            asks = asks or task[2]
        end
        if asks and ns == '' and id == '' and newest(ns) <= of then
            set('i', of)
        end
    end
    if id ~= '' then
        local fresh, used = {}, {}
        for nth = 1, #values, 2 do
            fresh[values[nth]] = true
            set('b\0' .. values[nth], values[nth + 1])
        end
        for nth, ref in ipairs(refs) do
            if known[nth] or fresh[ref] then
                used[#used + 1] = ref
                set(names[nth], (known[nth] or 0) + 1)
            end
        end
        set(names[at + 3], cmsgpack.pack({parent, used, depth, seed_of(id, parent, depth)}))
        set(place('c', ns, id), record)
        if depth > 0 then
            set('d\0' .. ns, 1)
        end
        if not old or not redis.call('ZSCORE', order, place('m', ns, id)) then
            add(place('s', ns, id))
        end
        if root ~= '' then
            add('x\0' .. root .. '\0' .. ns .. '\0' .. id)
        end
    end

    -- Nothing that a Redis without memory lets pass comes first: it would let pass the rest of the script as well.
    hset(sets)
    for from = 1, #members, 1000 do
        redis.call('ZADD', order, unpack(members, from, math.min(from + 999, #members)))
    end
    if asks then
        promote(of)
    end
    if id == '' then
        return
    end
    if begins and parent ~= '' then
        promote(parent)
    end
    if old then
        release(cmsgpack.unpack(old)[2])
    end
    if ns == '' and waits then
        redis.call('HDEL', data, 'i')
    end
    if most ~= '' then
        retain(ns, tonumber(most), true, by_seed)
    end
end

local steps = cmsgpack.unpack(text)
local names, known, fresh = {}, {}, {}
for nth, step in ipairs(steps) do
    local refs, needed, values = unpack(step, 7, 9)
    names[nth] = names_of(step)
    known[nth] = hmget(names[nth])
    for at = 1, needed do
        if not known[nth][at] and not fresh[refs[at]] then
            return 2
        end
    end
    for at = 1, #values, 2 do
        fresh[values[at]] = true
    end
end
for nth, step in ipairs(steps) do
    store(step, names[nth], nth == 1 and known[nth] or hmget(names[nth]))
end
touch(ttl, ends)
return 1
