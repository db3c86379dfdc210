package firesteel.util

import org.json4s.JsonAST.JValue
import org.json4s.jackson.JsonMethods.{compact, render}

/** JSON as text. */
private[firesteel] object Json {

  /** Returns a value as compact JSON. */
  def text(value: JValue): String = compact(render(value))
}
