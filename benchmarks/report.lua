-- What to send and what came of it, for benchmarks/wrk.py. The body is a file: wrk has no option for it.
local body = os.getenv("WRK_BODY")
if body then
   local file = assert(io.open(body, "rb"))
   wrk.method = "POST"
   wrk.body = file:read("*a")
   wrk.headers["Content-Type"] = "application/json"
   file:close()
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests": %d, "seconds": %.6f, "broken": %d, "refused": %d, "p50": %.4f, "p99": %.4f}\n',
      summary.requests, summary.duration / 1e6,
      errors.connect + errors.read + errors.write + errors.timeout, errors.status,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
