-- Count requests in a moving window, if there is room for all of them.
-- KEYS[1]: a list of moments in microseconds, the newest first.
-- ARGV: most in a window, the window in microseconds, the number of requests (1 where an older version calls).
-- Answers whether they were counted (1 or 0), how many are left, the microseconds until it is one more, and those until
-- as many as were refused and one more may pass (-1: they were not refused, or are more than a window may hold).
local limit, window, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3] or 1)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function moment(index)
    return tonumber(redis.call('LINDEX', KEYS[1], index))
end

local count = redis.call('LLEN', KEYS[1])
if count > 0 and moment(-1) <= now - window then
    -- Some have left the window: find the newest of them, and cut there.
    local low, high = 0, count - 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if moment(middle) > now - window then
            low = middle + 1
        else
            high = middle
        end
    end
    count = low
    if count == 0 then
        redis.call('DEL', KEYS[1])
    else
        redis.call('LTRIM', KEYS[1], 0, count - 1)
    end
end

local admitted, retry_in = 0, -1
if count + amount <= limit then
    for _ = 1, amount do
        redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
    end
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
    admitted, count = 1, count + amount
elseif amount + 1 <= limit then
    -- So many of the oldest have to leave the window first; the next request counts, too.
    retry_in = moment(limit - count - amount - 1) + window - now
end
local frees_in = 0
if count > 0 then
    frees_in = moment(-1) + window - now
end
return {admitted, limit - count, frees_in, retry_in}
