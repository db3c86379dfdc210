package firesteel.classification

import java.util.concurrent.ConcurrentLinkedQueue

import scala.jdk.CollectionConverters.CollectionHasAsScala

import org.apache.logging.log4j.{Level, LogManager}
import org.apache.logging.log4j.core.{LogEvent, Logger}
import org.apache.logging.log4j.core.appender.AbstractAppender
import org.apache.logging.log4j.core.config.Property

/** The warnings of a logger while a block runs. */
private[classification] object LoggedWarnings {

  /** Runs a block, which may read the warnings so far, and returns all warnings. */
  def of(logger: String)(body: (() => Seq[String]) => Any): Seq[String] = {
    val heard = new ConcurrentLinkedQueue[String]
    val appender =
      new AbstractAppender("heard", null, null, false, Property.EMPTY_ARRAY) {
        override def append(event: LogEvent): Unit =
          if (event.getLevel == Level.WARN) {
            val _ = heard.add(event.getMessage.getFormattedMessage)
          }
      }
    appender.start()
    val target = LogManager.getLogger(logger).asInstanceOf[Logger]
    target.addAppender(appender)
    try {
      val _ = body(() => heard.asScala.toSeq)
    } finally target.removeAppender(appender)
    heard.asScala.toSeq
  }
}
