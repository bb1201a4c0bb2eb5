-- Gives a function that registers a service which answers with one of the files that HAProxy runs, as the controller does
-- for a client that is nobody in particular: without passwords. The configuration names its place by setenv, since HAProxy
-- 2.6 gives no arguments to Lua files.

local here = string.match(debug.getinfo(1, "S").source, "^@(.*/)")
local answer = loadfile(here .. "answer.lua")()
local CONFIG = os.getenv("MARATHON_LB_CONFIG") or ""

local function masked(line)
  if string.match(line, "^%s*user%s") then
    line = string.gsub(line, "(password%s+).*$", "%1***")
  end
  return (string.gsub(line, "^(%s*stats%s+auth%s+[^%s:]+:).*$", "%1***"))
end

-- The file of this name in the configuration's directory; without a name the configuration itself.
return function(service, name)
  local path = name and (string.match(CONFIG, "^(.*/)") or "") .. name or CONFIG
  core.register_service(service, "http", function(applet)
    local file = io.open(path)
    if not file then
      answer(applet, name and 404 or 503, "text/plain; charset=utf-8", "HAProxy cannot read " .. path .. ".\n")
      return
    end
    local lines = {}
    for line in file:lines() do
      lines[#lines + 1] = name and line or masked(line)
    end
    file:close()
    answer(applet, 200, "text/plain; charset=utf-8", #lines > 0 and table.concat(lines, "\n") .. "\n" or "")
  end)
end
