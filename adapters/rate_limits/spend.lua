-- Count a request in a moving window, if there is room for it.
-- KEYS[1]: a list of moments in microseconds, the newest first. ARGV: most in a window, the window in microseconds.
-- Answers whether it was counted (1 or 0), how many are left, and the microseconds until it is one more.
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
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

local admitted = 0
if count < limit then
    redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
    admitted, count = 1, count + 1
end
return {admitted, limit - count, moment(-1) + window - now}
