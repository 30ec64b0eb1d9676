-- A sync of one replica: the rules of `LocalLedger` in tollgate-layers, in the same order and arithmetic. `now` is the
-- time in milliseconds.
--
-- KEYS: meta, replicas, events, then one hash for each reported limit.
-- ARGV: replica, seq, generation, leaving, lease time, grace, the number of events, the events, then for each report 23:
--   key, limit, window, wider (0: none), learned, epoch, held, used, want, need, cost, 12 ages.
-- Returns generation, live replicas, those of them with a smaller id, then for each report 6: permits, limit, window, epoch, wanted, spare.

local META, REPLICAS, EVENTS = KEYS[1], KEYS[2], KEYS[3]
local FORGET_TIME, KEEP_TIME, CLEAN_TIME = 600000, 600000, 600000
local REPORT_SIZE, AGES, TOLERANCE, EVENTS_KEPT, TELL_AGAIN = 23, 12, 50, 10000, 1000
-- A record is packed as the list of these, and its ages.
local FIELDS = {'seq', 'at', 'limit', 'window', 'held', 'used', 'want', 'need', 'cost', 'since', 'leased', 'told',
    'leaving'}

local replica, seq, sent_generation = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local leaving, lease_time, grace = ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6])
local event_count = tonumber(ARGV[7])
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max

local function less(a, b)
    return max(0, a - b)
end

local function bit(condition)
    return condition and 1 or 0
end

local function publish(receivers, id, event)
    redis.call('XADD', EVENTS, 'MAXLEN', '~', EVENTS_KEPT, '*', receivers, id, 'event', event)
end

-- The time never goes back. If no replica has synced for long, the ledger could not be reached, and that is not the
-- silence of any of them. Returns the generation, and the time of the last sync of each replica.
local function advance()
    local meta = redis.call('HMGET', META, 'generation', 'last')
    local generation, last = tonumber(meta[1] or 0), tonumber(meta[2] or 0)
    now = max(now, last)
    if generation == 0 then
        generation, last = now, now
        redis.call('HSET', META, 'generation', generation)
    end
    local gap = now - last
    local was_away = gap > floor(lease_time / 2)
    redis.call('HSET', META, 'last', now)
    local heard, all = {}, redis.call('HGETALL', REPLICAS)
    for i = 1, #all, 2 do
        local at = tonumber(all[i + 1]) + (was_away and gap or 0)
        if now - at >= FORGET_TIME then
            redis.call('HDEL', REPLICAS, all[i])
        else
            heard[all[i]] = at
            if was_away then redis.call('HSET', REPLICAS, all[i], at) end
        end
    end
    return generation, heard
end

local generation, heard = advance()
heard[replica] = now
redis.call('HSET', REPLICAS, replica, now)

local function unpack_record(packed)
    local values, record = cmsgpack.unpack(packed), {ages = {}}
    for i, name in ipairs(FIELDS) do record[name] = values[i] end
    for i = 1, AGES do record.ages[i] = values[#FIELDS + i] end
    return record
end

local function pack_record(record)
    local values = {}
    for i, name in ipairs(FIELDS) do values[i] = record[name] end
    for i = 1, AGES do values[#FIELDS + i] = record.ages[i] end
    return cmsgpack.pack(values)
end

-- The rule is packed as a list: window, epoch, since, born, recovering, touched.
local function read_limit(key, report)
    local all = redis.call('HGETALL', key)
    local rule, records = nil, {}
    for i = 1, #all, 2 do
        if all[i] == 'rule' then
            local values = cmsgpack.unpack(all[i + 1])
            rule = {window = values[1], epoch = values[2], since = values[3], born = values[4],
                recovering = values[5] == 1, touched = values[6]}
        else
            records[all[i]] = unpack_record(all[i + 1])
        end
    end
    if not rule or now - rule.touched >= KEEP_TIME then
        redis.call('DEL', key)
        rule = {window = report.window, epoch = report.epoch, since = now, born = now, recovering = false}
        records = {}
    end
    return rule, records
end

local function read_report(n)
    local base = 7 + event_count + n * REPORT_SIZE
    local function number(i) return tonumber(ARGV[base + i]) end
    local report = {key = ARGV[base + 1], limit = number(2), window = number(3), wider = number(4),
        learned = number(5) == 1, epoch = number(6), held = number(7), used = number(8), want = number(9),
        need = number(10), cost = number(11), ages = {}}
    for i = 1, AGES do report.ages[i] = number(11 + i) end
    return report
end

local function new_record(report, earlier)
    local function used_only(amount) return leaving and 0 or amount end
    local record = {seq = seq, at = now, limit = report.limit, window = report.window,
        held = leaving and report.used or report.held, used = report.used, ages = report.ages,
        want = used_only(report.want), need = used_only(report.need), cost = used_only(report.cost),
        told = 0, leaving = bit(leaving)}
    record.since = earlier and earlier.since or 0
    if record.want <= record.held then record.since = 0 elseif record.since == 0 then record.since = now end
    record.leased = record.held
    return record
end

-- Updates the rule by a report. Returns true if the window changed.
local function learn(rule, report)
    local window = rule.window
    local is_firm = report.learned or report.wider == 0 or report.epoch == rule.epoch
    if report.epoch > rule.epoch then
        rule.window, rule.epoch, rule.since = report.window, report.epoch, now
    elseif report.window < window and is_firm then
        rule.window, rule.epoch, rule.since = report.window, rule.epoch + 1, now
    elseif report.learned then
        rule.since = now
    elseif report.wider > 0 and report.window == window and now - rule.since >= CLEAN_TIME then
        rule.window, rule.epoch, rule.since = report.wider, rule.epoch + 1, now
    end
    return rule.window ~= window
end

local function last_heard(id, record)
    return heard[id] or record.at
end

local function is_live(id, record)
    return record.leaving == 0 and now - last_heard(id, record) <= lease_time
end

-- An upper bound of the permits of a record as they count over another window.
local function converted(record, window)
    local parts = record.window == 0 and 1 or ceil(window / record.window)
    return record.held * max(1, parts)
end

-- The permits that count of a silent replica, which may have used some until its lease ended.
local function locked(id, record, window)
    local lease_end = last_heard(id, record) + lease_time
    if record.window ~= window then
        return now < lease_end + window and converted(record, window) or 0
    end
    local aging = 0
    for _, amount in ipairs(record.ages) do aging = aging + amount end
    local free = record.leaving == 1 and 0 or less(record.held, record.used)
    local reusable, amounts = free + less(record.used, aging), 0
    for twelfth, amount in ipairs(record.ages) do
        local first_free_at = record.at + floor((twelfth - 1) * window / 12)
        local free_at = record.at + ceil(twelfth * window / 12)
        if first_free_at < lease_end and record.leaving == 0 then
            reusable = reusable + amount
        elseif free_at > now then
            amounts = amounts + amount
        end
    end
    return amounts + (now < lease_end + window and reusable or 0)
end

local function drop_expired(key, records, window)
    for id, record in pairs(records) do
        if now - last_heard(id, record) > lease_time + max(window, record.window) then
            redis.call('HDEL', key, id)
            records[id] = nil
        end
    end
end

local function sorted_ids(records)
    local ids = {}
    for id in pairs(records) do ids[#ids + 1] = id end
    table.sort(ids, function(a, b) return tonumber(a) < tonumber(b) end)
    return ids
end

local function waits(record)
    return record.since > 0
end

-- The order in which replicas have begun to wait; those that do not wait come last. Replicas are numbered by their ids.
local function before(live, a, b)
    local first, second = live[a], live[b]
    if waits(first) ~= waits(second) then return waits(first) end
    if first.since ~= second.since then return first.since < second.since end
    return a < b
end

-- The number of the replica that has waited longest, without `but`.
local function longest_waiting(live, but)
    local found
    for i, record in ipairs(live) do
        if i ~= but and waits(record) and (not found or before(live, i, found)) then found = i end
    end
    return found
end

local function share(need, permits, needs)
    return needs == 0 and 0 or floor(need * permits / needs)
end

-- The need, and a part of the spare permits in proportion to the demand; a tenth of the limit goes out evenly.
local function divide_spare(live, limit, spare)
    local evenly, sum, left, targets = limit / (10 * #live), 0, spare, {}
    for _, record in ipairs(live) do sum = sum + (record.need + evenly) end
    for i, record in ipairs(live) do
        local part = spare == 0 and 0 or floor(spare * (record.need + evenly) / sum)
        targets[i] = record.need + part
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
    if first and live[first].cost > share(live[first].need, rest, needs) then
        expensive = first
        needs = needs - live[first].need
        rest = rest - min(rest, live[first].used + live[first].cost)
    end
    local left, order = available, {}
    for i, record in ipairs(live) do
        if i == expensive then
            targets[i] = available - rest
        else
            targets[i] = share(record.need, rest, needs)
            order[#order + 1] = i
        end
        left = left - targets[i]
    end
    table.sort(order, function(a, b) return before(live, a, b) end)
    for _, i in ipairs(order) do
        if left > 0 and targets[i] < live[i].need then
            targets[i] = targets[i] + 1
            left = left - 1
        end
    end
    return targets, expensive
end

-- The live replicas that count over the present window, and their targets.
local function new_standing(records, window)
    local live, ids, locked_permits, total, held, limit = {}, {}, 0, 0, 0, nil
    for _, id in ipairs(sorted_ids(records)) do
        local record = records[id]
        if not is_live(id, record) then
            locked_permits = locked_permits + locked(id, record, window)
        elseif record.window ~= window then
            locked_permits = locked_permits + converted(record, window)
        else
            live[#live + 1], ids[#ids + 1] = record, id
            total, held = total + record.need, held + record.held
            limit = min(limit or record.limit, record.limit)
        end
    end
    limit = limit or 0
    local standing = {live = live, ids = ids, limit = limit, held = held, available = less(limit, locked_permits)}
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
    return less(min(record.want, standing.targets[i]), record.held)
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
    for other, waiting in ipairs(standing.live) do
        if other ~= i and waits(waiting) then rest = less(rest, unmet(standing, other)) end
    end
    local most = others_wait(standing, i) and record.want or max(record.want, target)
    return granted + min(rest, less(most, record.held + granted))
end

-- The permits that a replica without a grant may keep.
local function lowered(standing, i)
    local held, target = standing.live[i].held, standing.targets[i]
    local surplus = less(held, target)
    local is_due = others_wait(standing, i) or surplus > max(1, floor(standing.limit / TOLERANCE))
    local kept = less(held, less(standing.held, standing.available))
    return min(kept, surplus > 0 and is_due and target or held)
end

local function has_spare(standing, i, granted)
    if standing.unassigned > granted then return true end
    for other, record in ipairs(standing.live) do
        if other ~= i and record.held > max(standing.targets[other], record.used) then return true end
    end
    return false
end

-- Returns true if a replica may have idle permits, and was not told within the last second that they are wanted.
local function may_be_idle(record)
    local used = record.window == 0 and 0 or record.used
    for twelfth, amount in ipairs(record.ages) do
        if record.at + floor((twelfth - 1) * record.window / 12) <= now then used = less(used, amount) end
    end
    return record.leased > used and now >= record.told + TELL_AGAIN
end

-- The replicas that should report because this one waits in spite of its grant.
local function due_for(standing, i, granted)
    local record, due = standing.live[i], {}
    if record.held + granted >= record.want then return due end
    for other, holder in ipairs(standing.live) do
        local has_more = holder.leased > standing.targets[other] or may_be_idle(holder)
        if other ~= i and has_more then due[#due + 1] = standing.ids[other] end
    end
    return due
end

-- A replica that still waits does so behind the others, if one of its calls can begin now.
local function grant(record, permits, granted)
    record.held = record.held + granted
    if record.held >= record.want then
        record.since = 0
    elseif granted > 0 and record.held >= record.used + record.cost then
        record.since = now + 1
    end
    record.leased = permits
end

local function position(ids)
    for i, id in ipairs(ids) do
        if id == replica then return i end
    end
end

-- Returns true if a report changes the limit of its replica, or adds a replica with another limit than that of the others.
local function limit_changed(report, earlier, records)
    if earlier then return earlier.limit ~= report.limit end
    for id, record in pairs(records) do
        if is_live(id, record) and record.limit ~= report.limit then return true end
    end
    return false
end

-- Returns the lease, and the replicas that should report.
local function deal(rule, record, records, freed)
    local standing = new_standing(records, rule.window)
    local i = position(standing.ids)
    if not i then
        local first = freed and longest_waiting(standing.live)
        return {0, 0, rule.window, rule.epoch, 0, 0}, first and {standing.ids[first]} or {}
    end
    local is_frozen = rule.recovering and now < rule.born + grace
    local granted = is_frozen and 0 or to_grant(standing, i)
    local permits = granted > 0 and standing.live[i].held + granted or lowered(standing, i)
    local lease = {permits, standing.limit, rule.window, rule.epoch, bit(others_wait(standing, i)),
        bit(has_spare(standing, i, granted))}
    local due = due_for(standing, i, granted)
    if freed and not is_frozen and standing.unassigned > granted then
        local first = longest_waiting(standing.live, i)
        if first then due[#due + 1] = standing.ids[first] end
    end
    grant(record, permits, granted)
    record.told = lease[5] == 1 and now or 0
    return lease, due
end

-- The other live replicas, over all windows.
local function others(records)
    local found = {}
    for _, id in ipairs(sorted_ids(records)) do
        if id ~= replica and is_live(id, records[id]) then found[#found + 1] = id end
    end
    return found
end

local function sync_limit(key, report)
    local rule, records = read_limit(key, report)
    local earlier = records[replica]
    if earlier and earlier.seq >= seq then
        local permits = earlier.window == rule.window and earlier.held or 0
        return {permits, earlier.limit, rule.window, rule.epoch, 0, 0}
    end
    local freed = earlier ~= nil and report.held < earlier.held
    local of_before = report.held > 0 or (sent_generation ~= 0 and sent_generation ~= generation)
    rule.recovering = rule.recovering or (earlier == nil and of_before)
    local record = new_record(report, earlier)
    local changed = limit_changed(report, earlier, records)
    changed = learn(rule, report) or changed
    records[replica] = record
    drop_expired(key, records, rule.window)
    local lease, due = deal(rule, record, records, freed)
    if changed then due = others(records) end
    if #due > 0 then publish('to', table.concat(due, ','), 'sync ' .. report.key) end
    local packed = {rule.window, rule.epoch, rule.since, rule.born, bit(rule.recovering), now}
    redis.call('HSET', key, 'rule', cmsgpack.pack(packed), replica, pack_record(record))
    redis.call('PEXPIRE', key, KEEP_TIME)
    return lease
end

local response = {generation, 0, 0}
for n = 0, #KEYS - 4 do
    for _, value in ipairs(sync_limit(KEYS[n + 4], read_report(n))) do response[#response + 1] = value end
end
if leaving then
    heard[replica] = nil
    redis.call('HDEL', REPLICAS, replica)
end
for i = 1, event_count do publish('from', replica, ARGV[7 + i]) end
for id, at in pairs(heard) do
    if now - at <= lease_time then
        response[2] = response[2] + 1
        if tonumber(id) < tonumber(replica) then response[3] = response[3] + 1 end
    end
end
return response
