-- use-service lua.getpids: the process ids of HAProxy's workers.
local directory = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local register = loadfile(directory .. "controller.lua")()
register("getpids", "/_haproxy_getpids")
