-- Every POST creates another workload; the ids of those that were accepted go to $BENCH_IDS/*.
dofile(os.getenv("BENCH_SCRIPTS") .. "/report.lua")

local function read_all(path)
   local file = assert(io.open(path, "r"))
   local text = file:read("*a")
   file:close()
   return text
end

local function random_hex(bytes)
   local file = assert(io.open("/dev/urandom", "rb"))
   local text = file:read(bytes)
   file:close()
   return (text:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

local before, after = read_all(os.getenv("BENCH_SCRIPTS") .. "/create.json"):match("^(.*)@ID@(.*)$")
local prefix = random_hex(4) .. "-" .. random_hex(2) .. "-4" .. random_hex(1) .. "0-8" ..
   random_hex(1) .. "0"
local count = 0
local accepted

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function init()
   accepted = assert(io.open(os.getenv("BENCH_IDS") .. "/" .. prefix, "w"))
end

function request()
   count = count + 1
   return wrk.format(nil, nil, nil, before .. string.format("%s-%012x", prefix, count) .. after)
end

function response(status, headers, body)
   if status == 200 then
      accepted:write(body:match('"workloadId":%s*"([^"]+)"'), "\n")
   else
      others[tostring(status)] = (others[tostring(status)] or 0) + 1
   end
end
