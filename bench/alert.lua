-- wrk's script: alerts of 100 kinds; four in five are new, one in five repeats an earlier one.
-- Environment: BATCH (alerts in a request), KEY (integration key), RUN (first part of the external ids).
local batch = tonumber(os.getenv("BATCH") or "1")
local run = os.getenv("RUN") or tostring(os.time())
local key = os.getenv("KEY")
local severities = { "critical", "high", "medium", "low" }
local headers = {
  ["Content-Type"] = "application/json",
  ["Authorization"] = "Bearer " .. key, -- OpenAlert
  ["X-API-Key"] = key, -- the peer
}
local body = '{"external_id":"%s-%d","title":"High latency on api-%d","severity":"%s","source":"prom",'
  .. '"metadata":{"tags":["a","b"],"integration":"x"}}'
local newest = 0

math.randomseed(os.time())

local function alert()
  local number
  if newest > 10 and math.random() < 0.2 then
    number = math.random(newest)
  else
    newest = newest + 1
    number = newest
  end
  return body:format(run, number, number % 100, severities[number % 4 + 1])
end

function request()
  if batch == 1 then
    return wrk.format("POST", nil, headers, alert())
  end
  local alerts = {}
  for place = 1, batch do
    alerts[place] = alert()
  end
  return wrk.format("POST", nil, headers, '{"alerts":[' .. table.concat(alerts, ",") .. "]}")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.3f,"refused":%d,"broken":%d,"p50":%.2f,"p99":%.2f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
