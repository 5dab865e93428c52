"""A page on this machine that aligns photographs and the webcam's pictures: `server` answers, page.html is what it
serves, without any library or network access."""
