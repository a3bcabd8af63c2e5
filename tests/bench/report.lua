-- What every script has: the key, and one line at the end for wrk.c to read.
wrk.headers["Authorization"] = "Bearer " .. (os.getenv("BENCH_KEY") or "")

others = {} -- of a thread: "status" -> how many answers that are not 200, where a script counts them
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

local function other_answers()
   local sums, texts = {}, {}
   for _, thread in ipairs(threads) do
      for status, n in pairs(thread:get("others") or {}) do
         sums[status] = (sums[status] or 0) + n
      end
   end
   for status, n in pairs(sums) do
      table.insert(texts, status .. ":" .. n)
   end
   table.sort(texts)
   return table.concat(texts, ",")
end

-- requests, microseconds, p50 and p99 in microseconds, answers from 400 on, broken connections and
-- time-outs, and which statuses there were
function done(summary, latency)
   local errors = summary.errors
   io.write(string.format("report %d %d %d %d %d %d %s\n", summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99), errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, other_answers()))
end
