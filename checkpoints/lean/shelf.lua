-- What every script here shares. A thread is two keys: a hash of parts, and a sorted set whose members, all of score 0,
-- stand in the order of their bytes.
--   hash   h head, c checkpoint: \0 namespace \0 id       b channel's value, r how many checkpoints use it: \0 reference
--          w what a task wrote: \0 namespace \0 id \0 task
--          d namespace with channels that keep changes: \0 namespace      i root checkpoint whose interrupt is pending
--   order  s step, m milestone: \0 namespace \0 id    w as in the hash    x root's id \0 namespace \0 id of a sub-graph
-- A head is {parent, references, depth, seed}: `depth` counts the ancestors that are needed to rebuild such channels,
-- the farthest of them is `seed`.
local data, order = KEYS[1], KEYS[2]

local function place(kind, ns, id)
    return kind .. '\0' .. ns .. '\0' .. id
end

local function hmget(names)
    local values = {}
    for from = 1, #names, 1000 do
        local part = redis.call('HMGET', data, unpack(names, from, math.min(from + 999, #names)))
        for at = 1, #part do
            values[from + at - 1] = part[at]
        end
    end
    return values
end

local function hset(pairs_)
    for from = 1, #pairs_, 1000 do
        redis.call('HSET', data, unpack(pairs_, from, math.min(from + 999, #pairs_)))
    end
end

local function hdel(names)
    for from = 1, #names, 1000 do
        redis.call('HDEL', data, unpack(names, from, math.min(from + 999, #names)))
    end
end

local function under(prefix)
    return redis.call('ZRANGEBYLEX', order, '[' .. prefix, '[' .. prefix .. '\255')
end

local function first(kind, ns)
    local prefix = place(kind, ns, '')
    local found = redis.call('ZRANGEBYLEX', order, '[' .. prefix, '[' .. prefix .. '\255', 'LIMIT', 0, 1)[1]
    return found and string.sub(found, #prefix + 1) or ''
end

local function last(kind, ns)
    local prefix = place(kind, ns, '')
    local found = redis.call('ZREVRANGEBYLEX', order, '[' .. prefix .. '\255', '[' .. prefix, 'LIMIT', 0, 1)[1]
    return found and string.sub(found, #prefix + 1) or ''
end

local function newest(ns)
    local step, milestone = last('s', ns), last('m', ns)
    return step > milestone and step or milestone
end

local function has(ns, id)
    return redis.call('HEXISTS', data, place('h', ns, id)) == 1
end

local function head_of(ns, id)
    local head = redis.call('HGET', data, place('h', ns, id))
    return head and cmsgpack.unpack(head)
end

-- At most `count` ids of a namespace before another one, newest first.
local function before(ns, id, count)
    local ids = {}
    for _, kind in ipairs({'s', 'm'}) do
        local prefix = place(kind, ns, '')
        local from = id == '' and '[' .. prefix .. '\255' or '(' .. prefix .. id
        for _, member in ipairs(redis.call('ZREVRANGEBYLEX', order, from, '[' .. prefix, 'LIMIT', 0, count)) do
            ids[#ids + 1] = string.sub(member, #prefix + 1)
        end
    end
    table.sort(ids, function(one, other) return one > other end)
    return ids
end

local function namespaces()
    local found, known = {}, {}
    for _, kind in ipairs({'s', 'm'}) do
        local from = '[' .. kind .. '\0'
        while from do
            local member = redis.call('ZRANGEBYLEX', order, from, '[' .. kind .. '\255', 'LIMIT', 0, 1)[1]
            local ns = member and string.match(member, '^.%z([^%z]*)%z')
            from = ns and '[' .. kind .. '\0' .. ns .. '\0\255'
            if ns and not known[ns] then
                known[ns] = true
                found[#found + 1] = ns
            end
        end
    end
    return found
end

-- Count one use less of each value; those nobody uses any more go.
local function release(refs)
    local names, sets, gone = {}, {}, {}
    for at, ref in ipairs(refs) do
        names[at] = 'r\0' .. ref
    end
    for at, uses in ipairs(hmget(names)) do
        if tonumber(uses or 0) > 1 then
            sets[#sets + 1] = names[at]
            sets[#sets + 1] = uses - 1
        else
            gone[#gone + 1] = names[at]
            gone[#gone + 1] = 'b\0' .. refs[at]
        end
    end
    hset(sets)
    hdel(gone)
end

-- What a Redis without memory lets pass comes first, and lets pass the rest: else nothing could be dropped there.
local function drop(ns, id, whole)
    local head = head_of(ns, id)
    redis.call('ZREM', order, place('s', ns, id), place('m', ns, id))
    if ns == '' and redis.call('HGET', data, 'i') == id then
        redis.call('HDEL', data, 'i')
    end
    if head then
        release(head[2])
    end
    local gone = under(place('w', ns, id) .. '\0')
    for from = 1, #gone, 1000 do
        redis.call('ZREM', order, unpack(gone, from, math.min(from + 999, #gone)))
    end
    gone[#gone + 1] = place('h', ns, id)
    gone[#gone + 1] = place('c', ns, id)
    hdel(gone)
    if whole and ns == '' then
        for _, member in ipairs(under('x\0' .. id .. '\0')) do
            local sub, sub_id = string.match(member, '^x%z[^%z]*%z([^%z]*)%z(.*)$')
            redis.call('ZREM', order, member)
            drop(sub, sub_id, false)
        end
    end
end

-- Let so many checkpoints stay beside the newest: milestones rather than steps, new ones rather than old ones; where
-- channels keep their changes only, the newest ones with every ancestor they are rebuilt from.
local function retain(ns, most, whole, by_seed)
    if by_seed then
        local stay = before(ns, '', most + 1)
        local floor = stay[most + 1]
        if not floor then
            return
        end
        for at = 1, most + 1 do
            local seed = head_of(ns, stay[at])[4]
            floor = seed ~= '' and seed < floor and seed or floor
        end
        for _, id in ipairs(before(ns, floor, -1)) do
            drop(ns, id, whole)
        end
        return
    end
    local steps, milestones = place('s', ns, ''), place('m', ns, '')
    local many = redis.call('ZLEXCOUNT', order, '[' .. steps, '[' .. steps .. '\255')
    many = many + redis.call('ZLEXCOUNT', order, '[' .. milestones, '[' .. milestones .. '\255')
    for _ = most + 2, many do
        local id = first('s', ns)
        if id == '' or id == newest(ns) then
            id = first('m', ns)
        end
        drop(ns, id, whole)
    end
end

-- Let the thread's keys end together, later than before; not while a human is asked, unless `ends` says so.
local function touch(ttl, ends)
    if ttl == '' then
        return
    end
    local stays = ends == '' and redis.call('HEXISTS', data, 'i') == 1
    for _, key in ipairs({data, order}) do
        if stays then
            redis.call('PERSIST', key)
        else
            redis.call('PEXPIRE', key, ttl)
        end
    end
end
