-- The totals of amounts that replicas add up. The server drops a total when its period has ended.
--
-- KEYS: one hash for each total, with the amount of each replica.
-- ARGV: the replica, then for each total 2: the replica's own amount, the rest of its period in milliseconds (0: it has none).
-- Returns for each total 2: the sum, the rest of the period in milliseconds (0: it has none).

local replica = ARGV[1]
local response = {}
for i, key in ipairs(KEYS) do
    local own, rest = ARGV[2 * i], tonumber(ARGV[2 * i + 1])
    local is_new = redis.call('EXISTS', key) == 0
    -- A request that was delayed has an earlier amount.
    if tonumber(own) > tonumber(redis.call('HGET', key, replica) or 0) then
        redis.call('HSET', key, replica, own)
        if is_new and rest > 0 then
            redis.call('PEXPIRE', key, rest)
        end
    end
    local sum = 0
    for _, amount in ipairs(redis.call('HVALS', key)) do
        sum = sum + tonumber(amount)
    end
    response[2 * i - 1] = sum
    response[2 * i] = math.max(0, redis.call('PTTL', key))
end
return response
