-- Passes requests on to the controller's socket in the state directory, and its responses back.
--
-- Returns a function that registers a service for one of the controller's paths. It is for short responses: some versions of
-- HAProxy 2.6 and 3.0 stop reading from a socket after 16 kB, until the timeout. The socket uses the PROXY protocol: the
-- client's address is the one that HAProxy sees, so a client gets no more rights through this service than it has itself.
-- The configuration sets the path of the socket with setenv, because HAProxy 2.6 passes no arguments to Lua files.

local answer = loadfile(string.match(debug.getinfo(1, "S").source, "^@(.*/)") .. "answer.lua")()
local SOCKET = os.getenv("MARATHON_LB_WEB_SOCKET") or ""
local SECONDS = 10

-- A client on a unix socket has no address, and is not trusted: it is sent as 0.0.0.0.
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

-- Headers that tell whether a browser sends the request, whether a page of another site caused it, and the token.
local PASSED_ON = {
  ["accept-language"] = true, authorization = true, cookie = true, host = true, origin = true, ["ping-from"] = true,
  purpose = true, referer = true, ["upgrade-insecure-requests"] = true, ["user-agent"] = true, ["x-moz"] = true,
  ["x-purpose"] = true,
}

local function origin_of(applet)
  local lines = {}
  for name, values in pairs(applet.headers) do
    if PASSED_ON[name] or string.sub(name, 1, 4) == "sec-" then
      for _, value in pairs(values) do
        lines[#lines + 1] = name .. ": " .. value .. "\r\n"
      end
    end
  end
  return table.concat(lines)
end

local function send_request(applet, path)
  local connection = core.tcp()
  connection:settimeout(SECONDS)
  if not connection:connect("unix@" .. SOCKET) then
    return nil
  end
  -- the body of a POST does not matter here; the method is passed on, so that HEAD does not do what GET does
  local request = applet.method .. " " .. path .. " HTTP/1.0\r\n" .. origin_of(applet) .. "\r\n"
  local response = connection:send(client_of(applet) .. request) and connection:receive("*a")
  connection:close()
  return response
end

return function(name, path)
  core.register_service(name, "http", function(applet)
    local response = send_request(applet, path)
    local head, body = string.match(response or "", "^(.-\r\n)\r\n(.*)$")
    local status = head and string.match(head, "^HTTP/1%.%d (%d%d%d)")
    if not status then
      answer(applet, 503, "text/plain; charset=utf-8", "The controller does not answer; HAProxy keeps serving.\n")
      return
    end
    local kind = string.match(string.lower(head), "\r\ncontent%-type:%s*([^\r]*)") or "text/plain"
    answer(applet, tonumber(status), kind, body)
  end)
end
