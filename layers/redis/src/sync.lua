-- A sync of one replica: the rules of `LocalLedger` in tollgate-layers, in the same order and arithmetic. `now` is the
-- time in milliseconds.
--
-- KEYS: meta, replicas, events, then one string for each reported limit.
-- ARGV: replica, seq, generation, leaving, lease time, grace, the number of events, the events, then for each report 12:
--   key, limit, window, wider (0: none), learned, epoch, held, used, want, need, cost, and the ages that are not zero, each as
--   TWELFTH:AMOUNT.
-- Returns generation, live replicas, those of them with a smaller id, then for each report 6: permits, limit, window, epoch,
--   wanted, spare.

local META, REPLICAS, EVENTS = KEYS[1], KEYS[2], KEYS[3]
local FORGET_TIME, KEEP_TIME, CLEAN_TIME = 600000, 600000, 600000
local REPORT_SIZE, TOLERANCE, EVENTS_KEPT, TELL_AGAIN = 12, 50, 10000, 1000
-- A record is a list of these, and packed as it is. To make a table with names of it, and numbers of its ages before they are
-- needed, would take most of the time of a sync.
local SEQ, AT, LIMIT, WINDOW, HELD, USED, WANT, NEED = 1, 2, 3, 4, 5, 6, 7, 8
local COST, SINCE, LEASED, TOLD, LEAVING, AGES = 9, 10, 11, 12, 13, 14
-- And so is a limit: the rule, then the id and the packed record of each replica.
local EPOCH, RULE_SINCE, BORN, RECOVERING, TOUCHED, RULE_WINDOW, FIRST_ID = 1, 2, 3, 4, 5, 6, 7

local replica, seq, sent_generation = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local leaving, lease_time, grace = ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6])
local event_count = tonumber(ARGV[7])
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max

local function less(a, b)
    return a > b and a - b or 0
end

local function bit(condition)
    return condition and 1 or 0
end

local function publish(receivers, id, event)
    redis.call('XADD', EVENTS, 'MAXLEN', '~', EVENTS_KEPT, '*', receivers, id, 'event', event)
end

-- The time never goes back. If no replica has synced for long, the ledger could not be reached, and that is not the
-- silence of any of them. Returns the generation, and the time of the last sync of each replica. From here on, times are
-- those since the generation, from 1: they take fewer bytes.
local function advance()
    local meta = redis.call('HMGET', META, 'generation', 'last')
    local generation, last = tonumber(meta[1] or 0), tonumber(meta[2] or 0)
    if generation == 0 then
        generation, last = now, 1
        redis.call('HSET', META, 'generation', generation)
    end
    now = max(now - generation + 1, last)
    local gap = now - last
    local was_away = gap > floor(lease_time / 2)
    redis.call('HSET', META, 'last', now)
    local heard, all = {}, redis.call('HGETALL', REPLICAS)
    for i = 1, #all, 2 do
        local at = tonumber(all[i + 1]) + (was_away and gap or 0)
        if now - at >= FORGET_TIME then
            redis.call('HDEL', REPLICAS, all[i])
        else
            heard[tonumber(all[i])] = at
            if was_away then redis.call('HSET', REPLICAS, all[i], at) end
        end
    end
    return generation, heard
end

local generation, heard = advance()
heard[replica] = now
redis.call('HSET', REPLICAS, ARGV[1], now)

-- The ids that were met, in their order.
local ids, was_met = {}, {}

local function meet(id)
    if was_met[id] then return end
    was_met[id] = true
    local at = #ids
    while at > 0 and ids[at] > id do
        ids[at + 1] = ids[at]
        at = at - 1
    end
    ids[at + 1] = id
end

for id in pairs(heard) do meet(id) end

-- The rule of a limit, the record of each replica, and the packed records, of which only one will change.
local function read_limit(key, report)
    local text = redis.call('GET', key)
    local rule, records, packed = text and {cmsgpack.unpack(text)}, {}, {}
    if not rule or now - rule[TOUCHED] >= KEEP_TIME then
        return {report.epoch, now, now, 0, now, report.window}, records, packed
    end
    for i = FIRST_ID, #rule, 2 do
        local id = rule[i]
        meet(id)
        packed[id] = rule[i + 1]
        records[id] = {cmsgpack.unpack(packed[id])}
        rule[i], rule[i + 1] = nil, nil
    end
    return rule, records, packed
end

local function read_report(n)
    local base = 7 + event_count + n * REPORT_SIZE
    return {key = ARGV[base + 1], limit = tonumber(ARGV[base + 2]), window = tonumber(ARGV[base + 3]),
        wider = tonumber(ARGV[base + 4]), learned = ARGV[base + 5] == '1', epoch = tonumber(ARGV[base + 6]),
        held = tonumber(ARGV[base + 7]), used = tonumber(ARGV[base + 8]), want = tonumber(ARGV[base + 9]),
        need = tonumber(ARGV[base + 10]), cost = tonumber(ARGV[base + 11]), ages = ARGV[base + 12]}
end

local function new_record(report, earlier)
    local held, want, need, cost = report.held, report.want, report.need, report.cost
    if leaving then held, want, need, cost = report.used, 0, 0, 0 end
    local since = earlier and earlier[SINCE] or 0
    if want <= held then since = 0 elseif since == 0 then since = now end
    return {seq, now, report.limit, report.window, held, report.used, want, need, cost, since, held, 0, bit(leaving),
        report.ages}
end

-- Updates the rule by a report. Returns true if the window changed.
local function learn(rule, report)
    local window = rule[RULE_WINDOW]
    local is_firm = report.learned or report.wider == 0 or report.epoch == rule[EPOCH]
    if report.epoch > rule[EPOCH] then
        rule[RULE_WINDOW], rule[EPOCH], rule[RULE_SINCE] = report.window, report.epoch, now
    elseif report.window < window and is_firm then
        rule[RULE_WINDOW], rule[EPOCH], rule[RULE_SINCE] = report.window, rule[EPOCH] + 1, now
    elseif report.learned then
        rule[RULE_SINCE] = now
    elseif report.wider > 0 and report.window == window and now - rule[RULE_SINCE] >= CLEAN_TIME then
        rule[RULE_WINDOW], rule[EPOCH], rule[RULE_SINCE] = report.wider, rule[EPOCH] + 1, now
    end
    return rule[RULE_WINDOW] ~= window
end

local function last_heard(id, record)
    return heard[id] or record[AT]
end

local function is_live(id, record)
    return record[LEAVING] == 0 and now - last_heard(id, record) <= lease_time
end

-- Calls a function with the first time and the time at which the amount of each age is free, and with the amount.
local function each_age(record, visit)
    for twelfth, amount in string.gmatch(record[AGES], '(%d+):(%d+)') do
        local first = record[AT] + floor((twelfth - 1) * record[WINDOW] / 12)
        visit(first, record[AT] + ceil(twelfth * record[WINDOW] / 12), tonumber(amount))
    end
end

-- An upper bound of the permits of a record as they count over another window.
local function converted(record, window)
    local parts = record[WINDOW] == 0 and 1 or ceil(window / record[WINDOW])
    return record[HELD] * max(1, parts)
end

-- The permits that count of a silent replica, which may have used some until its lease ended.
local function locked(id, record, window)
    local lease_end = last_heard(id, record) + lease_time
    if record[WINDOW] ~= window then
        return now < lease_end + window and converted(record, window) or 0
    end
    local aging, reusable, amounts = 0, 0, 0
    each_age(record, function(first_free_at, free_at, amount)
        aging = aging + amount
        if first_free_at < lease_end and record[LEAVING] == 0 then
            reusable = reusable + amount
        elseif free_at > now then
            amounts = amounts + amount
        end
    end)
    local free = record[LEAVING] == 1 and 0 or less(record[HELD], record[USED])
    reusable = reusable + free + less(record[USED], aging)
    return amounts + (now < lease_end + window and reusable or 0)
end

local function waits(record)
    return record[SINCE] > 0
end

-- The order in which replicas have begun to wait; those that do not wait come last. Replicas are numbered by their ids.
local function before(live, a, b)
    local first, second = live[a], live[b]
    if waits(first) ~= waits(second) then return waits(first) end
    if first[SINCE] ~= second[SINCE] then return first[SINCE] < second[SINCE] end
    return a < b
end

-- The number of the replica that has waited longest, without `but`.
local function longest_waiting(live, but)
    local found
    for i = 1, #live do
        if i ~= but and waits(live[i]) and (not found or before(live, i, found)) then found = i end
    end
    return found
end

local function share(need, permits, needs)
    return needs == 0 and 0 or floor(need * permits / needs)
end

-- The need, and a part of the spare permits in proportion to the demand; a tenth of the limit goes out evenly.
local function divide_spare(live, limit, spare)
    local evenly, sum, left, targets = limit / (10 * #live), 0, spare, {}
    for i = 1, #live do sum = sum + (live[i][NEED] + evenly) end
    for i = 1, #live do
        local record = live[i]
        local part = spare == 0 and 0 or floor(spare * (record[NEED] + evenly) / sum)
        targets[i] = record[NEED] + part
        left = left - part
    end
    for i = 1, #live do
        if left > 0 then
            targets[i] = targets[i] + 1
            left = left - 1
        end
    end
    return targets
end

-- In proportion to the needs, which exceed the permits; the rest one each to those that have waited longest. A call that
-- costs more than the share of the first of them gets its cost. Returns the number of that replica besides.
local function divide_scarce(live, available, total)
    local rest, needs, expensive, targets = available, total, nil, {}
    local first = longest_waiting(live)
    if first and live[first][COST] > share(live[first][NEED], rest, needs) then
        expensive = first
        needs = needs - live[first][NEED]
        rest = rest - min(rest, live[first][USED] + live[first][COST])
    end
    local left, order = available, {}
    for i, record in ipairs(live) do
        if i == expensive then
            targets[i] = available - rest
        else
            targets[i] = share(record[NEED], rest, needs)
            order[#order + 1] = i
        end
        left = left - targets[i]
    end
    table.sort(order, function(a, b) return before(live, a, b) end)
    for _, i in ipairs(order) do
        if left > 0 and targets[i] < live[i][NEED] then
            targets[i] = targets[i] + 1
            left = left - 1
        end
    end
    return targets, expensive
end

-- The live replicas that count over the present window, and their targets. Removes the records of silent replicas, once all
-- that they may have used is free.
local function new_standing(records, window)
    local live, live_ids, place, locked_permits, total, held, limit = {}, {}, nil, 0, 0, 0, nil
    for n = 1, #ids do
        local id = ids[n]
        local record = records[id]
        local silent = record and now - last_heard(id, record)
        if not record then
            -- It has not reported this limit.
        elseif silent > lease_time + max(window, record[WINDOW]) then
            records[id] = nil
        elseif silent > lease_time or record[LEAVING] == 1 then
            locked_permits = locked_permits + locked(id, record, window)
        elseif record[WINDOW] ~= window then
            locked_permits = locked_permits + converted(record, window)
        else
            live[#live + 1], live_ids[#live + 1] = record, id
            if id == replica then place = #live end
            total, held = total + record[NEED], held + record[HELD]
            limit = min(limit or record[LIMIT], record[LIMIT])
        end
    end
    limit = limit or 0
    local standing = {live = live, ids = live_ids, place = place, limit = limit, held = held}
    standing.available = less(limit, locked_permits)
    standing.unassigned = less(standing.available, held)
    if total > standing.available then
        standing.targets, standing.expensive = divide_scarce(live, standing.available, total)
    else
        standing.targets = divide_spare(live, limit, standing.available - total)
    end
    return standing
end

-- The permits that a replica wants and lacks, up to its target.
local function unmet(standing, i)
    local record = standing.live[i]
    return less(min(record[WANT], standing.targets[i]), record[HELD])
end

local function others_wait(standing, i)
    return longest_waiting(standing.live, i) ~= nil
end

-- Up to the target, and of those that the others leave, up to all that is wanted.
local function to_grant(standing, i)
    local record, target, first = standing.live[i], standing.targets[i], standing.expensive
    local reserved = first and first ~= i and unmet(standing, first) or 0
    local granted = min(unmet(standing, i), less(standing.unassigned, reserved))
    local rest = less(standing.unassigned, granted)
    for other = 1, #standing.live do
        if other ~= i and waits(standing.live[other]) then rest = less(rest, unmet(standing, other)) end
    end
    local most = others_wait(standing, i) and record[WANT] or max(record[WANT], target)
    return granted + min(rest, less(most, record[HELD] + granted))
end

-- The permits that a replica without a grant may keep.
local function lowered(standing, i)
    local held, target = standing.live[i][HELD], standing.targets[i]
    local surplus = less(held, target)
    local is_due = others_wait(standing, i) or surplus > max(1, floor(standing.limit / TOLERANCE))
    local kept = less(held, less(standing.held, standing.available))
    return min(kept, surplus > 0 and is_due and target or held)
end

local function has_spare(standing, i, granted)
    if standing.unassigned > granted then return true end
    for other = 1, #standing.live do
        local record = standing.live[other]
        if other ~= i and record[HELD] > max(standing.targets[other], record[USED]) then return true end
    end
    return false
end

-- Returns true if a replica may have idle permits, and was not told within the last second that they are wanted.
local function may_be_idle(record)
    local used = record[WINDOW] == 0 and 0 or record[USED]
    each_age(record, function(first_free_at, _, amount)
        if first_free_at <= now then used = less(used, amount) end
    end)
    return record[LEASED] > used and (record[TOLD] == 0 or now >= record[TOLD] + TELL_AGAIN)
end

-- The replicas that should report because this one waits in spite of its grant.
local function due_for(standing, i, granted)
    local record, due = standing.live[i], {}
    if record[HELD] + granted >= record[WANT] then return due end
    for other, holder in ipairs(standing.live) do
        local has_more = holder[LEASED] > standing.targets[other] or may_be_idle(holder)
        if other ~= i and has_more then due[#due + 1] = standing.ids[other] end
    end
    return due
end

-- A replica that still waits does so behind the others, if one of its calls can begin now.
local function grant(record, permits, granted)
    record[HELD] = record[HELD] + granted
    if record[HELD] >= record[WANT] then
        record[SINCE] = 0
    elseif granted > 0 and record[HELD] >= record[USED] + record[COST] then
        record[SINCE] = now + 1
    end
    record[LEASED] = permits
end

-- Returns true if a report changes the limit of its replica, or adds a replica with another limit than that of the others.
local function limit_changed(report, earlier, records)
    if earlier then return earlier[LIMIT] ~= report.limit end
    for id, record in pairs(records) do
        if is_live(id, record) and record[LIMIT] ~= report.limit then return true end
    end
    return false
end

-- Returns the lease, and the replicas that should report.
local function deal(rule, records, freed)
    local window, epoch = rule[RULE_WINDOW], rule[EPOCH]
    local standing = new_standing(records, window)
    local i, record = standing.place, records[replica]
    if not i then
        local first = freed and longest_waiting(standing.live)
        return {0, 0, window, epoch, 0, 0}, first and {standing.ids[first]} or {}
    end
    local is_frozen = rule[RECOVERING] == 1 and now < rule[BORN] + grace
    local granted = is_frozen and 0 or to_grant(standing, i)
    local permits = granted > 0 and standing.live[i][HELD] + granted or lowered(standing, i)
    local wanted = others_wait(standing, i)
    local lease = {permits, standing.limit, window, epoch, bit(wanted), bit(has_spare(standing, i, granted))}
    local due = due_for(standing, i, granted)
    if freed and not is_frozen and standing.unassigned > granted then
        local first = longest_waiting(standing.live, i)
        if first then due[#due + 1] = standing.ids[first] end
    end
    grant(record, permits, granted)
    record[TOLD] = wanted and now or 0
    return lease, due
end

-- The other replicas for which a condition holds.
local function others(condition)
    local found = {}
    for _, id in ipairs(ids) do
        if id ~= replica and condition(id) then found[#found + 1] = id end
    end
    return found
end

local function ask(replicas, report)
    if #replicas == 0 then return end
    for i, id in ipairs(replicas) do replicas[i] = string.format('%.0f', id) end
    publish('to', table.concat(replicas, ','), 'sync ' .. report.key)
end

local function write_limit(key, rule, records, packed)
    rule[TOUCHED] = now
    packed[replica] = cmsgpack.pack(unpack(records[replica]))
    for _, id in ipairs(ids) do
        if records[id] then
            rule[#rule + 1] = id
            rule[#rule + 1] = packed[id]
        end
    end
    redis.call('SET', key, cmsgpack.pack(unpack(rule)), 'PX', KEEP_TIME)
end

local function sync_limit(key, report)
    local rule, records, packed = read_limit(key, report)
    local earlier = records[replica]
    if earlier and earlier[SEQ] >= seq then
        local permits = earlier[WINDOW] == rule[RULE_WINDOW] and earlier[HELD] or 0
        return {permits, earlier[LIMIT], rule[RULE_WINDOW], rule[EPOCH], 0, 0}
    end
    local freed = earlier ~= nil and report.held < earlier[HELD]
    local of_before = report.held > 0 or (sent_generation ~= 0 and sent_generation ~= generation)
    local undeclared = earlier == nil and of_before
    -- Only this limit was lost. After a loss of all data the replicas declare what they hold without a request.
    local lost = undeclared and next(records) == nil and now >= 1 + grace
    if undeclared then rule[RECOVERING] = 1 end
    local record = new_record(report, earlier)
    local changed = limit_changed(report, earlier, records)
    changed = learn(rule, report) or changed
    records[replica] = record
    local lease, due = deal(rule, records, freed)
    if lost then
        due = others(function(id) return heard[id] end)
    elseif changed then
        due = others(function(id) return records[id] and is_live(id, records[id]) end)
    end
    ask(due, report)
    write_limit(key, rule, records, packed)
    return lease
end

local response = {generation, 0, 0}
for n = 0, #KEYS - 4 do
    local lease = sync_limit(KEYS[n + 4], read_report(n))
    for i = 1, 6 do response[3 + 6 * n + i] = lease[i] end
end
if leaving then
    heard[replica] = nil
    redis.call('HDEL', REPLICAS, ARGV[1])
end
for i = 1, event_count do publish('from', ARGV[1], ARGV[7 + i]) end
for id, at in pairs(heard) do
    if now - at <= lease_time then
        response[2] = response[2] + 1
        if id < replica then response[3] = response[3] + 1 end
    end
end
return response
