-- Remove checkpoints, or nothing where somebody else holds the lease: returns 0. Arguments: the lease's value; `all`, or
-- `retain` with how many stay of each namespace beside the newest, or `these` with pairs of namespace and id.
if ARGV[1] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[1] then
    return 0
end
if ARGV[2] == 'all' then
    redis.call('UNLINK', data, order)
elseif ARGV[2] == 'retain' then
    for _, ns in ipairs(namespaces()) do
        retain(ns, tonumber(ARGV[3]), false, redis.call('HEXISTS', data, 'd\0' .. ns) == 1)
    end
else
    for at = 3, #ARGV, 2 do
        drop(ARGV[at], ARGV[at + 1], false)
    end
end
if #namespaces() == 0 then
    redis.call('UNLINK', data, order)
end
return 1
