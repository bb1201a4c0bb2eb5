-- Returns a function that registers a service which answers with one of HAProxy's files, without passwords, as the controller
-- does for a client without rights. The configuration sets its path with setenv, because HAProxy 2.6 passes no arguments to Lua
-- files.

local here = string.match(debug.getinfo(1, "S").source, "^@(.*/)")
local answer = loadfile(here .. "answer.lua")()
local CONFIG = os.getenv("MARATHON_LB_CONFIG") or ""

local function masked(line)
  if string.match(line, "^%s*user%s") then
    line = string.gsub(line, "(password%s+).*$", "%1***")
  end
  return (string.gsub(line, "^(%s*stats%s+auth%s+[^%s:]+:).*$", "%1***"))
end

-- The file with this name in the directory of the configuration; without a name the configuration itself.
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
