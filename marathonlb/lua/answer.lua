-- Returns a function that answers a request.

return function(applet, status, kind, body)
  applet:set_status(status)
  applet:add_header("content-type", kind)
  applet:add_header("content-length", tostring(#body))
  applet:add_header("cache-control", "no-store")
  applet:add_header("cross-origin-resource-policy", "same-origin")
  applet:add_header("x-content-type-options", "nosniff")
  applet:start_response()
  if applet.method ~= "HEAD" then
    applet:send(body)
  end
end
