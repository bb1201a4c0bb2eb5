-- use-service lua.getvhostmap and lua.getappmap: the map files.
local directory = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local register = loadfile(directory .. "files.lua")()
register("getvhostmap", "domain2backend.map")
register("getappmap", "app2backend.map")
