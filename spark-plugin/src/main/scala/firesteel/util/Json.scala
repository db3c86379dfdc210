package firesteel.util

import org.json4s.JsonAST.{JBool, JDouble, JInt, JString, JValue}
import org.json4s.jackson.JsonMethods.{compact, render}

/** JSON values and their text. */
private[firesteel] object Json {

  /** Returns a value as compact JSON. */
  def text(value: JValue): String = compact(render(value))

  /** Returns the JSON value of a parameter's value. */
  def of(value: Any): JValue = value match {
    case flag: Boolean => JBool(flag)
    case number: Int => JInt(number)
    case number: Double => JDouble(number)
    case text: String => JString(text)
    case other => throw new IllegalStateException(s"a parameter of type ${other.getClass.getName}")
  }
}
