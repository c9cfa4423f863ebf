BOOM.give("models/bilinear",{});
