-- use-service lua.getvhostmap and lua.getappmap: the map files.
local directory = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local register = loadfile(directory .. "controller.lua")()
register("getvhostmap", "/_haproxy_getvhostmap")
register("getappmap", "/_haproxy_getappmap")
