-- The events after a position, and the time now, from which the reader counts their ages.
-- KEYS: the stream of events. ARGV: the position.
return {now, redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 1000)}
