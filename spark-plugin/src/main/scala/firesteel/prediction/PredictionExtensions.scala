package firesteel.prediction

import org.apache.spark.sql.{SparkSession, SparkSessionExtensions, SparkSessionExtensionsProvider}

/** Adds the planning of predictions to a session. Found through `META-INF/services`, so no configuration is needed. */
private[firesteel] final class PredictionExtensions extends SparkSessionExtensionsProvider {

  override def apply(extensions: SparkSessionExtensions): Unit = {
    extensions.injectPlannerStrategy(_ => PredictionStrategy)
    extensions.injectOptimizerRule(_ => PrunePredictions)
    extensions.injectOptimizerRule(_ => PushFiltersBelowPredictions)
  }
}

private[firesteel] object PredictionExtensions {

  /** Adds the planning of predictions to a session that was created before the jar was on the class path; idempotent. */
  private[prediction] def register(session: SparkSession): Unit = synchronized {
    val methods = session.experimental
    if (!methods.extraStrategies.contains(PredictionStrategy)) {
      methods.extraStrategies = methods.extraStrategies :+ PredictionStrategy
    }
    val missing = Seq(PrunePredictions, PushFiltersBelowPredictions)
      .filterNot(methods.extraOptimizations.contains)
    if (missing.nonEmpty) methods.extraOptimizations = methods.extraOptimizations ++ missing
  }
}
