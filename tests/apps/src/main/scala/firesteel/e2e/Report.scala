package firesteel.e2e

import org.json4s.DefaultFormats
import org.json4s.jackson.Serialization

/** The output of an application for the test that started it. */
object Report {
  private implicit val formats: DefaultFormats.type = DefaultFormats

  /** Prints the line that the test reads. */
  def print(values: (String, Any)*): Unit = {
    println("RESULT " + Serialization.write(values.toMap))
    Console.out.flush()
  }
}
