-- For wrk: which request is made again and again, by the environment; and at the end the result as a line of JSON.

wrk.method = os.getenv("LOAD_METHOD") or "GET"
local bodies = {}
for line in (os.getenv("LOAD_BODIES") or ""):gmatch("[^\n]+") do
   bodies[#bodies + 1] = line
end
local starts = tonumber(os.getenv("LOAD_STARTS"))

if starts then -- pages of a list that begin anywhere
   request = function()
      return wrk.format(nil, wrk.path .. "&start=" .. math.random(0, starts))
   end
elseif #bodies > 0 then -- one of several bodies, so that no answer is the answer to all
   request = function()
      return wrk.format(nil, nil, nil, bodies[math.random(#bodies)])
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
