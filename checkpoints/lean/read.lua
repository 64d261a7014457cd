-- Read checkpoints, newest first. Arguments: time to live in ms, and whether it runs while a human is asked; `one` with
-- a namespace and an id (empty: the newest), or `page` with a namespace, the id they are before (empty: none) and how
-- many at most, or `pages` with the same for every namespace at once. Returns the checkpoints, each as namespace, id,
-- parent, checkpoint, references, tasks and what each of them wrote; the references of all, and their values.
local ttl, ends, how, ns, id, most = unpack(ARGV)

local function places()
    if how == 'one' then
        id = id == '' and newest(ns) or id
        return {{ns, id}}
    end
    local found = {}
    for _, each in ipairs(how == 'page' and {ns} or namespaces()) do
        for _, each_id in ipairs(before(each, id, most)) do
            found[#found + 1] = {each, each_id}
        end
    end
    table.sort(found, function(one, other) return one[2] > other[2] end)
    return found
end

local found, refs, known = {}, {}, {}
for _, at in ipairs(places()) do
    local head = #found < tonumber(most) and head_of(at[1], at[2])
    if head then
        local prefix = place('w', at[1], at[2]) .. '\0'
        local writes = under(prefix)
        local tasks = {}
        for nth, name in ipairs(writes) do
            tasks[nth] = string.sub(name, #prefix + 1)
        end
        for _, ref in ipairs(head[2]) do
            if not known[ref] then
                known[ref] = true
                refs[#refs + 1] = ref
            end
        end
        local record = redis.call('HGET', data, place('c', at[1], at[2]))
        found[#found + 1] = {at[1], at[2], head[1], record, head[2], tasks, hmget(writes)}
    end
end
local names = {}
for at, ref in ipairs(refs) do
    names[at] = 'b\0' .. ref
end
touch(ttl, ends)
return {found, refs, hmget(names)}
