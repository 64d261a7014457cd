-- Remove checkpoints, or nothing where somebody else holds the lease: returns 0. Arguments: the lease's value; time to
-- live in ms, and whether it runs while a human is asked; `all`, or `retain` with how many stay of each namespace beside
-- the newest, or `these` with pairs of namespace and id.
local lease, ttl, ends, what, most = unpack(ARGV, 1, 5)
if lease ~= '' and redis.call('GET', KEYS[3]) ~= lease then
    return 0
end
if what == 'all' then
    redis.call('UNLINK', data, order)
elseif what == 'retain' then
    for _, ns in ipairs(namespaces()) do
        retain(ns, tonumber(most), false, redis.call('HEXISTS', data, 'd\0' .. ns) == 1)
    end
else
    for at = 5, #ARGV, 2 do
        drop(ARGV[at], ARGV[at + 1], false)
    end
end
if #namespaces() == 0 then
    redis.call('UNLINK', data, order)
end
touch(ttl, ends)
return 1
