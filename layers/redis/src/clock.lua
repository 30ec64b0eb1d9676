-- The time of the ledger: milliseconds of the server's clock. Tests put a clock of their own in its place.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
