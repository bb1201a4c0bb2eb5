-- Hands requests to the controller's socket in the state directory, and its answers back.
--
-- Gives a function that registers a service for one of the controller's paths. It is for short answers: HAProxy 2.6 and 3.0
-- have versions that stop reading from a socket after 16 kB until its time is over. The socket speaks the PROXY protocol: the
-- client is who HAProxy says it is, so that nobody does through us what he may not do himself. The configuration names
-- the socket by setenv, since HAProxy 2.6 gives no arguments to Lua files.

local answer = loadfile(string.match(debug.getinfo(1, "S").source, "^@(.*/)") .. "answer.lua")()
local SOCKET = os.getenv("MARATHON_LB_WEB_SOCKET") or ""
local SECONDS = 10

-- Nobody is known on a unix socket, and nobody is trusted: such a client is 0.0.0.0.
local function client_of(applet)
  local from, to = applet.sf:src(), applet.sf:dst()
  local six = string.find(from, ":", 1, true) and string.find(to, ":", 1, true)
  local four = string.find(from, ".", 1, true) and string.find(to, ".", 1, true)
  if not six and not four then
    return "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"
  end
  local ports = applet.sf:src_port() .. " " .. applet.sf:dst_port()
  return "PROXY " .. (six and "TCP6 " or "TCP4 ") .. from .. " " .. to .. " " .. ports .. "\r\n"
end

-- What says whether a browser asks, whether a page of another site has made it ask, and who has the token.
local HANDED_ON = {
  ["accept-language"] = true, authorization = true, cookie = true, host = true, origin = true, ["ping-from"] = true,
  purpose = true, referer = true, ["upgrade-insecure-requests"] = true, ["user-agent"] = true, ["x-moz"] = true,
  ["x-purpose"] = true,
}

local function origin_of(applet)
  local lines = {}
  for name, values in pairs(applet.headers) do
    if HANDED_ON[name] or string.sub(name, 1, 4) == "sec-" then
      for _, value in pairs(values) do
        lines[#lines + 1] = name .. ": " .. value .. "\r\n"
      end
    end
  end
  return table.concat(lines)
end

local function asked(applet, path)
  local connection = core.tcp()
  connection:settimeout(SECONDS)
  if not connection:connect("unix@" .. SOCKET) then
    return nil
  end
  -- what is posted has no body that matters here, and HEAD is not to do what GET does
  local request = applet.method .. " " .. path .. " HTTP/1.0\r\n" .. origin_of(applet) .. "\r\n"
  local heard = connection:send(client_of(applet) .. request) and connection:receive("*a")
  connection:close()
  return heard
end

return function(name, path)
  core.register_service(name, "http", function(applet)
    local heard = asked(applet, path)
    local head, body = string.match(heard or "", "^(.-\r\n)\r\n(.*)$")
    local status = head and string.match(head, "^HTTP/1%.%d (%d%d%d)")
    if not status then
      answer(applet, 503, "text/plain; charset=utf-8", "The controller does not answer; HAProxy serves on.\n")
      return
    end
    local kind = string.match(string.lower(head), "\r\ncontent%-type:%s*([^\r]*)") or "text/plain"
    answer(applet, tonumber(status), kind, body)
  end)
end
