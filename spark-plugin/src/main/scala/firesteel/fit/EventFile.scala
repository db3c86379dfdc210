package firesteel.fit

import java.io.FileOutputStream
import java.nio.charset.StandardCharsets.UTF_8
import java.util.concurrent.atomic.AtomicInteger
import java.util.{Collections, WeakHashMap}

import scala.util.Using
import scala.util.control.NonFatal

import firesteel.plugin.Configuration
import firesteel.util.Json
import org.apache.spark.SparkContext
import org.json4s.JsonAST.JObject
import org.slf4j.LoggerFactory

/** The file to which the fits of one application append events, one JSON object a line.
  *
  * @param path
  *   the path on the driver; the file is created if it does not exist
  */
private[firesteel] final class EventFile(path: String) {
  private val fits = new AtomicInteger
  private var failed = false

  /** Returns the index of the next fit of the application, counted from 0. */
  def nextFit(): Int = fits.getAndIncrement()

  /** Appends events, each in one write, so that a reader sees whole lines. The first failure is logged and ends the
    * writing, since it may have left a part of a line.
    */
  def append(events: Seq[JObject]): Unit = synchronized {
    if (!failed && events.nonEmpty) {
      // An interrupt of the fit's thread would close a channel, and a stream that stays open would have no owner.
      try
        Using.resource(new FileOutputStream(path, true)) { file =>
          events.foreach(event => file.write(s"${Json.text(event)}\n".getBytes(UTF_8)))
        }
      catch {
        case NonFatal(error) =>
          failed = true
          EventFile.log.warn(
            s"${Configuration.ProgressEvents.name} is '$path', which cannot be written: ${error.getMessage}. The " +
              "fits continue without events; make the file writable and restart the application"
          )
      }
    }
  }
}

private[firesteel] object EventFile {
  private val log = LoggerFactory.getLogger("firesteel.fit.EventFile")

  private val files = Collections.synchronizedMap(new WeakHashMap[SparkContext, EventFile])

  /** Returns the event file of an application, if it has one. */
  def of(context: SparkContext): Option[EventFile] =
    Configuration.ProgressEvents
      .get(context.getConf)
      .map(path => files.computeIfAbsent(context, _ => new EventFile(path)))
}
